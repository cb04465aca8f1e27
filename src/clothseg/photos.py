"""Photos from disk: every common kind of file becomes the same array, or one clear error names the file."""

import glob
import os
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from clothseg.errors import PhotoError

RgbImage = NDArray[np.uint8]
"""`[H, W, 3]` uint8, red, green and blue."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})


def read_photo(path: Path | str, *, upright: bool = True) -> NDArray[np.uint8]:
    """Read a photo as RGB, turned upright by its EXIF orientation, or as its pixels lie in the file.

    Grey, palette, CMYK, 16-bit and floating-point pictures are brought to 8 bits; transparent ones are put on white; of
    an animation the first frame is taken.

    Returns:
        `[H, W, 3]` uint8.

    Raises:
        PhotoError: the file is missing, empty, cut short, or no picture.
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
        raise PhotoError(f"{path}: not a picture in a format that is known here") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise PhotoError(f"{path}: the photo cannot be read ({error}); it may be cut short, fetch it again") from error


def try_read_photo(path: Path) -> NDArray[np.uint8] | PhotoError:
    """A photo, or what is wrong with it: for work that goes on with the next one."""
    try:
        return read_photo(path)
    except PhotoError as error:
        return error


def exif_orientation(path: Path) -> int:
    """The EXIF orientation of a photo, 1 to 8; 1, as it is, where the file says none or cannot be read."""
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
    """Grey values of more than 8 bits: integers are 0..65535 if any exceeds 255; floats are 0..1, or else 0..255."""
    grey = np.nan_to_num(values.astype(np.float64))
    if np.issubdtype(values.dtype, np.floating):
        scale = 255.0 if grey.max(initial=0.0) <= 1.0 else 1.0
    else:
        scale = 1 / 257 if grey.max(initial=0.0) > 255.0 else 1.0
    return np.clip(np.rint(grey * scale), 0, 255).astype(np.uint8)


def find_photos(inputs: Iterable[Path], *, recursive: bool = False, suffixes: Collection[str] = SUFFIXES) -> list[Path]:
    """Photos among files, folders and patterns, each once: a file as it is, a folder's pictures by suffix, sorted.

    Hidden files and folders are left out. A pattern (`*`, `?`, `[a-z]`, and `**` for folders of any depth) that no
    file is called by gives what fits it and is a folder or has one of `suffixes`, sorted.

    Args:
        inputs: what somebody named.
        recursive: whether the folders within a folder are looked into.
        suffixes: of what patterns find, in small letters; folders give photos only.

    Raises:
        PhotoError: an input does not exist, a folder holds no photo, or nothing fits a pattern.
    """
    photos: list[Path] = []
    for place in inputs:
        if place.exists() or not glob.has_magic(str(place)):
            photos += _photos_at(place, recursive=recursive)
            continue
        fitting = [Path(name) for name in sorted(glob.glob(str(place), recursive=True))]  # noqa: PTH207 - of any root
        found = [p for p in fitting if p.is_file() and p.suffix.lower() in suffixes]
        for folder in (p for p in fitting if p.is_dir()):
            found += _in_folder(folder, recursive=recursive)
        if not found:
            raise PhotoError(f"{place}: nothing with a known suffix fits this pattern")
        photos += found
    once: dict[Path, Path] = {}
    for photo in photos:
        once.setdefault(photo.resolve(), photo)
    return list(once.values())


def _photos_at(place: Path, *, recursive: bool) -> list[Path]:
    """A file, or what is in a folder."""
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise PhotoError(f"{place}: no such photo or folder")
    inside = _in_folder(place, recursive=recursive)
    if not inside:
        deeper = "" if recursive or not _in_folder(place, recursive=True) else "; --recursive looks into those below"
        raise PhotoError(f"{place}: no photos in this folder ({', '.join(sorted(SUFFIXES))}){deeper}")
    return inside


def _in_folder(folder: Path, *, recursive: bool) -> list[Path]:
    """The photos in a folder, sorted; links to folders are not followed."""
    if not recursive:
        return sorted(p for p in folder.iterdir() if _is_photo(p))
    found: list[Path] = []
    for here, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [Path(here) / name for name in names if _is_photo(Path(here) / name)]
    return sorted(found)


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
