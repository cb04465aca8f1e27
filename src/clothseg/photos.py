"""Reads and finds photos: every common format becomes the same array, or one clear error names the file."""

import glob
import os
import unicodedata
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from clothseg.errors import PhotoError

RgbImage = NDArray[np.uint8]
"""A photo: `[H, W, 3]` uint8, red, green and blue."""
RgbaImage = NDArray[np.uint8]
"""`[H, W, 4]` uint8: red, green, blue and alpha. The colours are not multiplied by alpha."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})


def read_photo(path: Path | str, *, upright: bool = True) -> RgbImage:
    """Reads a photo as RGB.

    Grey, palette, CMYK, 16-bit and floating-point pictures become 8-bit RGB. Transparent pixels are put on white. Of an
    animation only the first frame is read.

    Args:
        path: of the file.
        upright: whether to rotate the photo by its EXIF orientation.

    Returns:
        `[H, W, 3]` uint8.

    Raises:
        PhotoError: the file is missing, empty, truncated, or not a picture.
    """
    path = Path(path)
    if not path.is_file():
        raise PhotoError(f"{path}: no such photo")
    if path.stat().st_size == 0:
        raise PhotoError(f"{path}: the file is empty (0 bytes); fetch or copy it again")
    try:
        with Image.open(path) as picture:
            picture.load()
            return np.array(_as_rgb(ImageOps.exif_transpose(picture) if upright else picture))
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{path}: {error}; make the photo smaller") from error
    except UnidentifiedImageError as error:
        raise PhotoError(f"{path}: not a picture in a known format") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise PhotoError(f"{path}: the photo cannot be read ({error}); it may be truncated, fetch it again") from error


def try_read_photo(path: Path) -> RgbImage | PhotoError:
    """Reads a photo, or returns the error: for work that continues with the next photo."""
    try:
        return read_photo(path)
    except PhotoError as error:
        return error


def exif_orientation(path: Path) -> int:
    """The EXIF orientation of a photo, 1 to 8; 1 (upright) if the file has none or cannot be read."""
    try:
        with Image.open(path) as picture:
            value = picture.getexif().get(0x0112, 1)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return 1
    return value if value in range(1, 9) else 1


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
    """The photos in a folder, sorted; links to folders are not followed."""
    if not recursive:
        return _sorted(p for p in folder.iterdir() if _is_photo(p))
    found: list[Path] = []
    for here, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [Path(here) / name for name in names if _is_photo(Path(here) / name)]
    return _sorted(found)


def _sorted(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.parts)  # Windows would ignore the case, and number the photos otherwise


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
