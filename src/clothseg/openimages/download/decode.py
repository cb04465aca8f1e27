"""Whether a picture can be decoded, without trust in where it came from."""

import io
from pathlib import Path

from PIL import Image

from clothseg.errors import DataError

# Masks of Open Images have up to 1600 x 1600 pixels, its photos 1024 x 1024; originals may be larger.
MOST_PIXELS = 1 << 26
PHOTO_KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MASK_KINDS = ("PNG",)


def check_picture(source: Path | bytes, kinds: tuple[str, ...]) -> None:
    """Decode a picture to its last pixel. Whether its colours suit its purpose is not asked.

    Raises:
        DataError: it is none of `kinds`, cut, broken, or would fill the memory (more than `MOST_PIXELS`).
    """
    name = str(source) if isinstance(source, Path) else "the picture"
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=kinds) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise DataError(f"{name}: has {picture.width} x {picture.height} pixels; it is not decoded")
            picture.load()
    except Image.DecompressionBombError as error:
        raise DataError(f"{name}: {error}") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise DataError(f"{name}: cannot be decoded ({error})") from error
