"""Photos: opened once each, compared with what the JSON says of them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clothseg.dataset.doctor.findings import Finding
from clothseg.dataset.doctor.rows import ImageRow
from clothseg.errors import PhotoError
from clothseg.photos import read_photo

_ORIENTATION = 0x0112  # EXIF tag: 1 upright, 2 to 4 mirrored or upside down, 5 to 8 lying on a side
THUMB = 32


@dataclass(frozen=True)
class ImageStats:
    """What was seen of a photo file.

    Attributes:
        error: why it cannot be read; then nothing else counts. `missing` tells that it is not there.
        size: height and width, upright.
        stored: height and width of the pixels in the file, before the EXIF tag turns them.
        orientation: EXIF, 1 to 8.
        digest: of the file's bytes.
        bits: perceptual hash, 64 bits.
        thumb: `[THUMB * THUMB]` float32 grey values of mean 0 and norm 1, or all 0 for a flat picture.
    """

    error: str = ""
    missing: bool = False
    size: tuple[int, int] = (0, 0)
    stored: tuple[int, int] = (0, 0)
    orientation: int = 1
    digest: bytes = b""
    bits: int = 0
    thumb: NDArray[np.float32] | None = None


def look_at(path: Path) -> ImageStats:
    """Decode a photo whole and take what the checks need. Never raises for a bad file."""
    try:
        if not path.is_file():
            return ImageStats(error="no such file", missing=True)
        photo = read_photo(path)
        with Image.open(path) as picture:
            stored = (picture.height, picture.width)
            orientation = picture.getexif().get(_ORIENTATION, 1)
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").digest()
    except (PhotoError, OSError, ValueError, SyntaxError, MemoryError) as error:
        return ImageStats(error=str(error).removeprefix(f"{path}: "))
    grey = Image.fromarray(photo).convert("L")
    bits = int.from_bytes(np.packbits(imagehash.phash(grey).hash.ravel()).tobytes(), "big")
    valid = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
    return ImageStats("", False, (photo.shape[0], photo.shape[1]), stored, valid, digest, bits, _thumb(grey))


def _thumb(grey: Image.Image) -> NDArray[np.float32]:
    values = np.asarray(grey.resize((THUMB, THUMB), Image.Resampling.BOX), dtype=np.float32).ravel()
    values -= values.mean()
    norm = float(np.linalg.norm(values))
    return values / norm if norm > THUMB else np.zeros_like(values)  # under 1 grey level of contrast: flat


def check_photo(row: ImageRow, look: ImageStats) -> list[Finding]:
    """A photo of the JSON against its file."""
    if look.missing:
        return [Finding("missing_photo", row.place, f"{row.path} is not there{_web(row.file_name)}")]
    if look.error:
        return [Finding("unreadable_photo", row.place, look.error)]
    return _check_size(row, row.size, look) if row.size is not None else []


def _check_size(row: ImageRow, size: tuple[int, int], look: ImageStats) -> list[Finding]:
    said, stored, upright = (f"{w} x {h}" for h, w in (size, look.stored, look.size))
    turned = look.orientation >= 5
    if size != look.size:
        if turned and size == look.stored:
            words = f"EXIF orientation {look.orientation} makes it {upright}, but masks are made for {said}"
            return [Finding("exif_rotation", row.place, words)]
        other = f" ({stored} before its EXIF tag turns it)" if turned else ""
        words = f"the JSON says {said} (width x height), the file has {upright}{other}"
        return [Finding("size_mismatch", row.place, words)]
    if look.orientation != 1 and look.stored == look.size:
        return [
            Finding("exif_unclear", row.place, f"EXIF orientation is {look.orientation}, the size {said} either way")
        ]
    return []


def _web(name: str) -> str:
    return "; file_name is a web address" if "://" in name else ""
