"""Photos from disk: every common kind of file becomes the same array, or one clear error names the file."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from clothseg.errors import PhotoError

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


def find_photos(inputs: Iterable[Path]) -> list[Path]:
    """Photos among files and folders, each once: a file as it is, a folder's pictures by suffix, sorted.

    Folders within a folder are not looked into, and hidden files are left out.

    Raises:
        PhotoError: an input does not exist, or a folder holds no photo.
    """
    photos: list[Path] = []
    for place in inputs:
        if place.is_dir():
            inside = sorted(p for p in place.iterdir() if _is_photo(p))
            if not inside:
                raise PhotoError(f"{place}: no photos in this folder ({', '.join(sorted(SUFFIXES))})")
            photos += inside
        elif place.is_file():
            photos.append(place)
        else:
            raise PhotoError(f"{place}: no such photo or folder")
    once: dict[Path, Path] = {}
    for photo in photos:
        once.setdefault(photo.resolve(), photo)
    return list(once.values())


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
