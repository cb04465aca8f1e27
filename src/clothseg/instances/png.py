"""Masks as PNG, the form of Open Images: one object a file, everything that is not 0 belongs to it."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clothseg.errors import DataError
from clothseg.instances.rle import BoolMask

# The largest masks published are 1600 pixels long; a file of a few kilobytes can claim, and fill, gigabytes.
MOST_PIXELS = 100_000_000


def read_mask_png(source: Path | bytes) -> BoolMask:
    """The `[H, W]` mask of a PNG, from a file or its bytes: 1, 8 or 16 bits of grey, or colours that are all grey.

    Raises:
        DataError: no picture that can be read; a real colour or transparency, whose meaning would be a guess; more than
            100 million pixels.
    """
    name = str(source) if isinstance(source, Path) else "the mask"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit here is stricter
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise DataError(f"{name}: {picture.width} x {picture.height} pixels, too many for a mask")
                values = _grey(picture, name)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{name}: not a mask picture that can be read ({error})") from error
    return np.asarray(values > 0, dtype=np.bool_)


def _grey(picture: Image.Image, name: str) -> NDArray[Any]:
    if picture.mode in {"P", "PA", "RGB", "RGBA", "LA"}:
        colours = np.asarray(picture.convert("RGBA"))
        if (colours[..., 3] < 255).any():
            raise DataError(f"{name}: a mask has one channel, this picture ({picture.mode}) is partly transparent")
        if (colours[..., :3] != colours[..., :1]).any():
            raise DataError(f"{name}: a mask has one channel, this picture ({picture.mode}) has colours")
        return np.asarray(colours[..., 0])
    values = np.asarray(picture)
    if values.ndim != 2:
        raise DataError(f"{name}: a mask has one channel, this picture ({picture.mode}) has {values.shape[2]}")
    return values
