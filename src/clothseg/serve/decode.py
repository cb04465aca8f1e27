"""Decodes photos that were sent, within limits. Nothing here takes a path."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from clothseg.errors import PhotoError
from clothseg.photos import RgbImage, decode_picture, formats_that_are_read, photo_errors
from clothseg.serve.limits import MEGAPIXEL, Limits


def decode_photo(content: bytes, limits: Limits, what: str = "the photo") -> RgbImage:
    """A photo as RGB `[H, W, 3]` uint8, upright; see `clothseg.photos.read_photo`.

    Args:
        content: of the file.
        limits: its size is checked before it is decoded.
        what: the words for it in errors.

    Raises:
        PhotoError: it is too large, truncated, or not a picture.
    """
    with opened(content, limits, what) as picture:
        return decode_picture(picture, upright=True)


@contextmanager
def opened(content: bytes, limits: Limits, what: str) -> Iterator[Image.Image]:
    """Opens a picture whose size is within the limits. All that fails inside the context becomes a PhotoError.

    Raises:
        PhotoError: it is too large, truncated, or not a picture.
    """
    most = f"{limits.photo_pixels / MEGAPIXEL:g} million"
    with photo_errors(what, content), _open(content, f"{what} has more than {most} pixels; make it smaller") as picture:
        width, height = picture.size
        if width * height > limits.photo_pixels:
            raise PhotoError(f"{what} has {width} x {height} pixels, more than {most}; make it smaller")
        yield picture


def _open(content: bytes, too_large: str) -> Image.Image:
    """The picture, not yet decoded. Pillow has a limit of its own for pixels, whose error is `too_large`."""
    try:
        return Image.open(io.BytesIO(content), formats=formats_that_are_read())
    except Image.DecompressionBombError:
        raise PhotoError(too_large) from None
