"""Reads and finds photos: every common format becomes the same array, or one clear error names the file."""

import glob
import os
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from clothseg.errors import PhotoError

RgbImage = NDArray[np.uint8]
"""A photo: `[H, W, 3]` uint8, red, green and blue."""
RgbaImage = NDArray[np.uint8]
"""`[H, W, 4]` uint8: red, green, blue and alpha. The colours are not multiplied by alpha."""
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats that are read. Others are refused: a reader of EPS, for example, starts a program."""
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
_ORIENTATION = 0x0112
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

    Grey, palette, CMYK, 16-bit and floating-point pictures become 8-bit RGB. Transparent pixels are put on white. Of an
    animation only the first frame is read. EXIF data that is broken is ignored.

    Args:
        path: of the file.
        upright: whether to rotate the photo by its EXIF orientation.

    Returns:
        `[H, W, 3]` uint8.

    Raises:
        PhotoError: the file is missing, empty, truncated, or not a picture.
    """
    with open_picture(path) as picture:
        picture.load()
        turn = _UPRIGHT.get(orientation_of(picture)) if upright else None
        return np.array(_as_rgb(picture if turn is None else picture.transpose(turn)))


def photo_exists(path: Path) -> bool:
    """Whether there is such a file; not, if no file can have this name."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a character that no name has
        return False


@contextmanager
def open_picture(path: Path | str) -> Iterator[Image.Image]:
    """Opens a picture with Pillow; all that fails inside the context becomes a PhotoError that names the file.

    Pillow raises exceptions of many types for damaged files: `struct.error`, `TypeError`, `RuntimeError` and others.

    Raises:
        PhotoError: the file is missing, empty, truncated, or not a picture.
    """
    path = Path(path)
    if not photo_exists(path):
        raise PhotoError(f"{path!s:.300}: no such photo")
    try:
        if path.stat().st_size == 0:
            raise PhotoError(f"{path}: the file is empty (0 bytes); fetch or copy it again")
        with Image.open(path, formats=formats_that_are_read()) as picture:
            yield picture
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{path}: {error}; make the photo smaller") from error
    except UnidentifiedImageError as error:
        raise PhotoError(f"{path}: {_unknown(path)}") from error
    except MemoryError as error:
        raise PhotoError(f"{path}: not enough memory for this photo; make it smaller") from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise PhotoError(f"{path}: the photo cannot be read ({reason}); it may be truncated, fetch it again") from error


@cache
def formats_that_are_read() -> tuple[str, ...]:
    """The formats that can be read: HEIF too if the plugin is installed."""
    try:
        from pi_heif import register_heif_opener  # noqa: PLC0415 - an extra
    except ImportError:
        return FORMATS
    register_heif_opener()
    return (*FORMATS, "HEIF")


def _unknown(path: Path) -> str:
    """Why a file in none of the known formats cannot be read."""
    suffix = path.suffix.lower()
    if suffix in HEIF_SUFFIXES and "HEIF" not in formats_that_are_read():
        return 'photos in HEIC need one more package: pip install "clothseg[heic]"'
    if suffix in RAW_SUFFIXES:
        return f"a camera's raw format ({suffix}); export it as JPEG"
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


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith(("I", "F")):
        return Image.fromarray(_to_eight_bits(np.asarray(picture))).convert("RGB")
    if picture.has_transparency_data:
        layers = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
    return picture.convert("RGB")


def _to_eight_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Grey values in 8 bits. Integers have a range of 0..65535 if one exceeds 255; floats 0..1, or else 0..255."""
    grey = np.nan_to_num(values.astype(np.float64))
    if np.issubdtype(values.dtype, np.floating):
        scale = 255.0 if grey.max(initial=0.0) <= 1.0 else 1.0
    else:
        scale = 1 / 257 if grey.max(initial=0.0) > 255.0 else 1.0
    return np.clip(np.rint(grey * scale), 0, 255).astype(np.uint8)


def find_photos(inputs: Iterable[Path], *, recursive: bool = False, suffixes: Collection[str] = SUFFIXES) -> list[Path]:
    """Lists the photos that the inputs name, each once: files as they are, and the photos in folders, sorted.

    Hidden files and folders are left out. A pattern may have `*`, `?`, `[a-z]`, and `**` for folders of any depth. It
    gives the files with one of `suffixes` and the photos in the folders that match, sorted. A file with exactly this
    name takes precedence over the pattern.

    Args:
        inputs: files, folders and patterns.
        recursive: whether to search subfolders too.
        suffixes: of the files that a pattern may give, in lower case; folders give photos only.

    Raises:
        PhotoError: an input does not exist, a folder has no photo, or nothing matches a pattern.
    """
    photos: list[Path] = []
    for place in inputs:
        if place.exists() or not glob.has_magic(str(place)):
            photos += _photos_at(place, recursive=recursive)
            continue
        names = glob.glob(str(place), recursive=True)  # noqa: PTH207 - a pattern with any root
        matches = [Path(name) for name in sorted(names, key=lambda name: name.replace(os.sep, "/"))]
        found = [p for p in matches if p.is_file() and p.suffix.lower() in suffixes]
        for folder in (p for p in matches if p.is_dir()):
            found += _in_folder(folder, recursive=recursive)
        if not found:
            raise PhotoError(f"{place}: nothing with a known suffix matches this pattern")
        photos += found
    once: dict[object, Path] = {}
    for photo in photos:
        once.setdefault(_identity(photo), photo)
    return list(once.values())


def _identity(path: Path) -> tuple[int, int, str]:
    """Equal for two spellings of one file: by links, and by case or accents where the file system ignores them.

    The name is part of it, because hard links with different names count as two photos.
    """
    file = path.stat()
    return file.st_dev, file.st_ino, unicodedata.normalize("NFC", str(path.resolve())).casefold()


def _photos_at(place: Path, *, recursive: bool) -> list[Path]:
    """The file, or the photos in the folder."""
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise PhotoError(f"{place}: no such photo or folder")
    inside = _in_folder(place, recursive=recursive)
    if not inside:
        deeper = "" if recursive or not _in_folder(place, recursive=True) else "; --recursive searches subfolders"
        raise PhotoError(f"{place}: no photos in this folder ({', '.join(sorted(SUFFIXES))}){deeper}")
    return inside


def _in_folder(folder: Path, *, recursive: bool) -> list[Path]:
    """The photos in a folder, sorted; links to folders are not followed.

    A raw file of a camera is among them, so that its error is reported, unless a photo of the same name lies beside it.
    """
    found: list[Path] = []
    for here, below, names in os.walk(folder):
        below[:] = [name for name in below if recursive and not name.startswith(".")]
        photos = [path for name in names if _is_photo(path := Path(here) / name, SUFFIXES)]
        stems = {path.stem.lower() for path in photos}
        raw = [path for name in names if _is_photo(path := Path(here) / name, RAW_SUFFIXES)]
        found += photos + [path for path in raw if path.stem.lower() not in stems]
    return _sorted(found)


def _sorted(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.parts)  # Windows would ignore the case, and number the photos otherwise


def _is_photo(path: Path, suffixes: Collection[str]) -> bool:
    return path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
