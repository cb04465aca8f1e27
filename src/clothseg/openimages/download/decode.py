"""Whether a picture from an unknown source can be decoded."""

import io
from pathlib import Path

from PIL import Image

from clothseg.errors import DataError

# Masks of Open Images have up to 1600 x 1600 pixels, its photos 1024 x 1024; originals may be larger.
MAX_PIXELS = 1 << 26
PHOTO_KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MASK_KINDS = ("PNG",)


def check_picture(source: Path | bytes, kinds: tuple[str, ...]) -> None:
    """Decodes a picture completely. Its colours are not checked.

    Args:
        source: a file, or the bytes of one.
        kinds: the formats of Pillow that are allowed.

    Raises:
        DataError: it is absent, has none of the formats, is cut or broken, or has more than `MAX_PIXELS` pixels.
    """
    name = str(source) if isinstance(source, Path) else "the picture"
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=kinds) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise DataError(
                    f"{name}: {picture.width} x {picture.height} pixels; more than {MAX_PIXELS} are not decoded"
                )
            picture.load()
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"{name}: {error}") from error
    except Exception as error:  # Pillow's types for damaged files are many
        raise DataError(f"{name}: cannot be decoded ({error})") from error
