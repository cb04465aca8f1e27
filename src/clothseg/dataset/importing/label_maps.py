"""Label maps: PNG files whose pixels are numbers or colours that stand for classes or objects."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clothseg.dataset.importing.drawing import MAX_PIXELS
from clothseg.errors import DataError
from clothseg.instances.rle import BoolMask

Colour = tuple[int, int, int]
VOID_COLOUR: Colour = (224, 224, 192)
"""Of Pascal VOC: the border around objects, which belongs to nothing."""
_BACKGROUND_NAMES = frozenset({"background", "_background_"})
_IGNORED_NAMES = frozenset({"__ignore__", "void"})


@dataclass(frozen=True)
class LabelMap:
    """A label map.

    Attributes:
        values: `[H, W]` int: the number of each pixel, or its colour as 0xRRGGBB if the PNG has no palette.
        colours: the palette by number; empty for a grey PNG; for colours, None.
        void: the value that stands for nothing: 255, or 65535 with 16 bits, or the colour of Pascal VOC.
    """

    values: NDArray[np.int64]
    colours: list[Colour] | None
    void: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.values.shape[0], self.values.shape[1]

    def colour(self, value: int) -> Colour | None:
        """The colour that a value has in the file; None for grey."""
        if self.colours is None:
            return value >> 16, value >> 8 & 255, value & 255
        return self.colours[value] if value < len(self.colours) else None

    def regions(self) -> Iterator[tuple[int, BoolMask]]:
        """Each value above 0 that is not void, with its pixels `[H, W]`."""
        for value in np.unique(self.values).tolist():
            if value not in {0, self.void}:
                yield value, self.values == value


def read_label_map(path: Path) -> LabelMap:
    """Reads a PNG with a palette, 1, 8 or 16 bits of grey, or colours.

    Raises:
        DataError: it cannot be read, is partly transparent, or has more than 100 million pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit here is stricter
            with Image.open(path, formats=("PNG",)) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise DataError(f"{path}: a label map of more than {MAX_PIXELS:,} pixels")
                return _read(picture, path)
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such label map") from error
    except Exception as error:  # Pillow's types for damaged files are many
        raise DataError(f"{path}: the label map cannot be read ({error})") from error


def _read(picture: Image.Image, path: Path) -> LabelMap:
    if picture.mode == "P":
        flat = (picture.getpalette("RGB") or [])[: 3 * 256]
        colours = list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
        return LabelMap(np.asarray(picture).astype(np.int64), colours, 255)
    if picture.mode in {"1", "L", "I;16", "I"}:
        wide = picture.mode in {"I;16", "I"}
        return LabelMap(np.asarray(picture).astype(np.int64), [], 65535 if wide else 255)
    pixels = np.asarray(picture.convert("RGBA")).astype(np.int64)
    if (pixels[..., 3] < 255).any():
        raise DataError(f"{path}: a label map is opaque, but this PNG ({picture.mode}) is partly transparent")
    red, green, blue = VOID_COLOUR
    values = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    return LabelMap(values, None, red << 16 | green << 8 | blue)


def class_list(path: Path) -> dict[int, str]:
    """Class names by value from a file with one name a line.

    The first line is value 1; but if background comes first, that is 0. Background and names such as `__ignore__` are
    left out.

    Raises:
        DataError: the file cannot be read, or has no name.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a list of class names ({error})") from error
    lines = [line for line in lines if line and line.lower() not in _IGNORED_NAMES]
    first = 0 if lines and lines[0].lower() in _BACKGROUND_NAMES else 1
    names = {value: line for value, line in enumerate(lines, start=first) if line.lower() not in _BACKGROUND_NAMES}
    if not names:
        raise DataError(f"{path}: no class names; write one name a line")
    return names


def is_reserved(name: str) -> bool:
    """Whether `class_list` takes a name for background, or for pixels to ignore."""
    return name.strip().lower() in _IGNORED_NAMES | _BACKGROUND_NAMES


def voc_colour(value: int) -> tuple[int, int, int]:
    """The colour of Pascal VOC for a value 0..255: its bits, three at a time, are the highest bits of the channels."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= (value >> (3 * place + channel) & 1) << (7 - place)
    return channels[0], channels[1], channels[2]
