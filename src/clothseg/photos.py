"""Reads photos: every common format becomes the same array, or one clear error names the file."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from clothseg.colour_profiles import as_srgb
from clothseg.errors import PhotoError
from clothseg.suggestions import near_path

RgbImage = NDArray[np.uint8]
"""A photo: `[H, W, 3]` uint8, red, green and blue."""
RgbaImage = NDArray[np.uint8]
"""`[H, W, 4]` uint8: red, green, blue and alpha. The colours are not multiplied by alpha."""
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats that are read. Others are refused: a reader of EPS, for example, starts a program."""
HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
"""What stands behind `ftyp` in a HEIC file (ISO/IEC 23008-12, 10.2 and B.4)."""
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
RAW_SUFFIXES = frozenset({".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"})
"""Of cameras' raw formats. They are photos, but nothing here can read them."""
SUFFIXES = frozenset(
    {
        *(".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".j2k", ".jpe", ".jpeg", ".jpg", ".jpx", ".mpo"),
        *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
        *HEIF_SUFFIXES,
    }
)
"""Of the files in a folder that are photos."""
_ARCHIVES = (b"pk\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf", b"rar!")
"""The first bytes of ZIP, gzip, 7z and RAR, in lower case."""
_ORIENTATION = 0x0112
_FIRST_TURNED = 5  # of the EXIF orientations that exchange height and width
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a photo upright, by its EXIF orientation."""


def read_photo(path: Path | str, *, upright: bool = True) -> RgbImage:
    """Reads a photo as RGB.

    Grey, palette, CMYK, 16-bit and floating-point pictures become 8-bit RGB. Colours of an ICC profile, such as Display
    P3, become those of sRGB. Transparent pixels are put on white. Of an animation only the first frame is read.
    Broken EXIF data is ignored.

    Args:
        path: of the file.
        upright: whether to rotate the photo by its EXIF orientation.

    Returns:
        `[H, W, 3]` uint8.

    Raises:
        PhotoError: the file is missing, empty, truncated, or not a picture.
    """
    with open_picture(path) as picture:
        return decode_picture(picture, upright=upright)


def decode_picture(picture: Image.Image, *, upright: bool) -> RgbImage:
    """An open picture as RGB; see `read_photo`. Raises what Pillow raises."""
    picture.load()
    turn = _UPRIGHT.get(orientation_of(picture)) if upright else None
    return np.array(_as_rgb(picture if turn is None else picture.transpose(turn)))


def check_photo(path: Path | str, size: tuple[int, int]) -> None:
    """Checks that `read_photo` gives a photo of `size` (height, width), in less time than reading it.

    Raises:
        PhotoError: it does not.
    """
    with open_picture(path) as picture:
        width, height = picture.size
        if picture.mode == "RGB":
            picture.draft("RGB", (1, 1))  # JPEG is decoded at an eighth of its size; others have no such mode
        picture.load()  # before the EXIF data: of a PNG these need the pixels, and a second `load` raises no error
        found = (width, height) if orientation_of(picture) >= _FIRST_TURNED else (height, width)
    if found != size:
        raise PhotoError(
            f"{path}: the photo has {found[0]} x {found[1]} pixels (height x width), but its annotations are for "
            f"{size[0]} x {size[1]}; use the annotated photo"
        )


def photo_exists(path: Path) -> bool:
    """Whether there is such a file; not, if no file can have this name."""
    return os.path.isfile(path)  # `Path.is_file` raises for a name that is too long


@contextmanager
def open_picture(path: Path | str) -> Iterator[Image.Image]:
    """Opens a picture with Pillow; all that fails inside the context becomes a PhotoError that names the file.

    Pillow raises exceptions of many types for damaged files: `struct.error`, `TypeError`, `RuntimeError` and others.

    Raises:
        PhotoError: the file is missing, empty, truncated, or not a picture.
    """
    path = Path(path)
    if reason := _reason_no_file(path):
        raise PhotoError(f"{url_in(path) or path}: {reason}")
    with photo_errors(path):
        if path.stat().st_size == 0:
            raise PhotoError(f"{path}: the file is empty (0 bytes); fetch or copy it again")
        with Image.open(path, formats=formats_that_are_read()) as picture:
            yield picture


@contextmanager
def photo_errors(source: Path | str, content: bytes = b"") -> Iterator[None]:
    """Within the context, every error becomes a PhotoError that names `source`: a file, or words for other values.

    `content` is that of a file which was sent, from which the error says what it is.
    """
    try:
        yield
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{source}: {str(error).rstrip('.')}; make the photo smaller") from error
    except UnidentifiedImageError as error:
        reason = _unknown_file(source) if isinstance(source, Path) else _unknown(content)
        raise PhotoError(f"{source}: {reason}") from error
    except PermissionError as error:
        raise PhotoError(f"{source}: no permission to read this file; change its rights") from error
    except MemoryError as error:
        raise PhotoError(f"{source}: not enough memory for this photo; make it smaller") from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise PhotoError(
            f"{source}: the photo cannot be read ({reason}); it may be truncated, fetch it again"
        ) from error


@cache
def formats_that_are_read() -> tuple[str, ...]:
    """The formats that can be read: HEIF too if the plugin is installed."""
    try:
        from pi_heif import register_heif_opener  # noqa: PLC0415 - an extra
    except ImportError:
        return FORMATS
    register_heif_opener()
    return (*FORMATS, "HEIF")


def _reason_no_file(path: Path) -> str:
    """Why a path is not a file that can be read; the empty string if it is one. A pipe would never end."""
    try:
        mode = path.stat().st_mode
    except PermissionError:
        return "no permission to look into its folder"
    except (OSError, ValueError):
        if os.path.islink(path):
            return "a link to a file that does not exist"
        if url_in(path):
            return "a web address; download the photo first"
        return f"no such photo{near_path(path)}"
    if stat.S_ISDIR(mode):
        readable = os.access(path, os.R_OK | os.X_OK)
        return "a folder, not a photo" if readable else "no permission to look into this folder; change its rights"
    return "" if stat.S_ISREG(mode) else "not a file, but a pipe or a device"


def url_in(path: Path | str) -> str:
    """The web address that a path is; `Path` has made one slash of the two. Empty if it is none."""
    found = re.match(r"(https?|ftp|s3|gs):[/\\]+", str(path), re.IGNORECASE)
    return f"{found[1]}://{str(path)[found.end() :]}" if found else ""


def _unknown_file(path: Path) -> str:
    """Why a file in none of the known formats cannot be read."""
    suffix = path.suffix.lower()
    if suffix in RAW_SUFFIXES:
        return f"a camera's raw format ({suffix}); export it as JPEG"
    with path.open("rb") as file:
        return _unknown(file.read(512))


def _unknown(start: bytes) -> str:
    """Why a file that begins with these bytes cannot be read. Phones give HEIC any name, also that of a JPEG."""
    if start.lstrip().lower().startswith(_ARCHIVES):
        return "an archive, not a photo; unpack it first"
    if start[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page with the name of a photo; download the photo itself"
    if start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS and "HEIF" not in formats_that_are_read():
        return 'photos in HEIC need one more package: pip install "clothseg[heic]"'
    return "not a picture in a known format"


def try_read_photo(path: Path) -> RgbImage | PhotoError:
    """Reads a photo, or returns the error: for work that continues with the next photo."""
    try:
        return read_photo(path)
    except PhotoError as error:
        return error


def orientation_of(picture: Image.Image) -> int:
    """The EXIF orientation of an open picture, 1 to 8; 1 (upright) if it has none or its EXIF data is broken."""
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow's types for broken EXIF data are many
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def exif_orientation(path: Path) -> int:
    """The EXIF orientation of a photo, 1 to 8; 1 (upright) if the file has none or cannot be read."""
    try:
        with open_picture(path) as picture:
            return orientation_of(picture)
    except PhotoError:
        return 1


def turn_upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turns an array `[H, W, ...]` that belongs to a photo as it is stored, as `read_photo` turns the photo.

    Args:
        pixels: for example a mask.
        orientation: the EXIF orientation of the photo, 1 to 8.
    """
    if orientation in {5, 6, 7, 8}:
        pixels = pixels.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in {3, 4, 7, 8} else 1)
    columns = slice(None, None, -1 if orientation in {2, 3, 6, 7} else 1)
    return pixels[rows, columns]


def require_photo_of(photo: RgbImage, size: tuple[int, int]) -> None:
    """Checks that a photo `[H, W, 3]` has the `size` (height, width) of the instances that are shown on it.

    Raises:
        ValueError: it has another size.
    """
    if photo.shape[:2] != size:
        raise ValueError(
            f"the instances belong to a photo of {size} (height, width), but this one has {photo.shape[:2]}"
        )


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith(("I", "F")):
        return Image.fromarray(_to_eight_bits(np.asarray(picture))).convert("RGB")
    if picture.has_transparency_data:
        layers = as_srgb(picture.convert("RGBA"))
        return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
    return as_srgb(picture if picture.mode == "CMYK" else picture.convert("RGB")).convert("RGB")


def _to_eight_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Grey values in 8 bits. Integers have a range of 0..65535 if one exceeds 255; floats 0..1, or else 0..255."""
    grey = np.nan_to_num(values.astype(np.float64))
    if np.issubdtype(values.dtype, np.floating):
        scale = 255.0 if grey.max(initial=0.0) <= 1.0 else 1.0
    else:
        scale = 1 / 257 if grey.max(initial=0.0) > 255.0 else 1.0
    return np.clip(np.rint(grey * scale), 0, 255).astype(np.uint8)
