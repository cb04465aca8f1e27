"""Masks as PNG files, as in Open Images: one object per file. Every pixel that is not 0 belongs to the object."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clothseg.errors import DataError
from clothseg.instances.rle import BoolMask

# The largest masks of Open Images are 1600 pixels long. A PNG of a few kilobytes can decode to gigabytes.
MAX_PIXELS = 100_000_000


def read_mask_png(source: Path | bytes) -> BoolMask:
    """Reads the `[H, W]` mask of a PNG file or its bytes: 1, 8 or 16 bits of grey, or colours that are all grey.

    Raises:
        DataError: the PNG cannot be read, has real colours or transparency (their meaning is unclear), or has more than
            100 million pixels.
    """
    name = str(source) if isinstance(source, Path) else "the mask"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit here is stricter
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=("PNG",)) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise DataError(
                        f"{name}: a mask of {picture.width} x {picture.height} pixels is too large; the limit is "
                        f"{MAX_PIXELS:,} pixels"
                    )
                values = _grey(picture, name)
    except DataError:
        raise
    except Exception as error:  # Pillow's types for damaged files are many
        raise DataError(f"{name}: the mask image cannot be read ({error})") from error
    return np.asarray(values > 0, dtype=np.bool_)


def _grey(picture: Image.Image, name: str) -> NDArray[Any]:
    if picture.mode in {"P", "PA", "RGB", "RGBA", "LA"}:
        colours = np.asarray(picture.convert("RGBA"))
        if (colours[..., 3] < 255).any():
            raise DataError(f"{name}: a mask has one channel, but this image ({picture.mode}) is partly transparent")
        if (colours[..., :3] != colours[..., :1]).any():
            raise DataError(f"{name}: a mask has one channel, but this image ({picture.mode}) has colours")
        return np.asarray(colours[..., 0])
    values = np.asarray(picture)
    if values.ndim != 2:
        raise DataError(f"{name}: a mask has one channel, but this image ({picture.mode}) has {values.shape[2]}")
    return values
