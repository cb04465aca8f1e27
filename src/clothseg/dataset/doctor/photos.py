"""Reads each photo once, and compares it with its row in the JSON."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clothseg.dataset.doctor.findings import Finding
from clothseg.dataset.doctor.rows import ImageRow
from clothseg.errors import PhotoError
from clothseg.photos import open_picture, orientation_of, read_photo

THUMB = 32


@dataclass(frozen=True)
class ImageStats:
    """Facts about a photo file.

    Attributes:
        error: why the photo cannot be read; else empty. With an error, only `missing` is valid.
        missing: whether the file does not exist.
        size: height and width of the upright photo.
        stored: height and width of the pixels in the file, before the EXIF tag turns them.
        orientation: the EXIF orientation: 1 is upright, 2 to 4 mirrored or upside down, 5 to 8 turned by 90 degrees.
        digest: SHA-256 of the file's bytes.
        bits: the perceptual hash, 64 bits.
        thumb: `[THUMB * THUMB]` float32 grey values with mean 0 and norm 1, or all 0 for a flat photo.
    """

    error: str = ""
    missing: bool = False
    size: tuple[int, int] = (0, 0)
    stored: tuple[int, int] = (0, 0)
    orientation: int = 1
    digest: bytes = b""
    bits: int = 0
    thumb: NDArray[np.float32] | None = None


def image_stats(path: Path) -> ImageStats:
    """Decodes a photo completely and collects what the checks need. A bad file gives `error`, not an exception."""
    try:
        if not os.path.lexists(path):  # a folder, a pipe or a link to nothing is there, but cannot be read
            return ImageStats(error="no such file", missing=True)
        photo = read_photo(path)
        with open_picture(path) as picture:
            stored = (picture.height, picture.width)
            orientation = orientation_of(picture)
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").digest()
    except (PhotoError, OSError) as error:
        return ImageStats(error=str(error).removeprefix(f"{path}: "))
    grey = Image.fromarray(photo).convert("L")
    bits = int.from_bytes(np.packbits(imagehash.phash(grey).hash.ravel()).tobytes(), "big")
    return ImageStats("", False, (photo.shape[0], photo.shape[1]), stored, orientation, digest, bits, _thumb(grey))


def _thumb(grey: Image.Image) -> NDArray[np.float32]:
    values = np.asarray(grey.resize((THUMB, THUMB), Image.Resampling.BOX), dtype=np.float32).ravel()
    values -= values.mean()
    norm = float(np.linalg.norm(values))
    return values / norm if norm > THUMB else np.zeros_like(values)  # flat: less than 1 grey level of contrast


def check_photo(row: ImageRow, stats: ImageStats) -> list[Finding]:
    """Compares an image row with its file."""
    if stats.missing:
        return [Finding("missing_photo", row.location, f"{row.path} does not exist{_web(row.file_name)}")]
    if stats.error:
        return [Finding("unreadable_photo", row.location, stats.error)]
    return _check_size(row, row.size, stats) if row.size is not None else []


def check_name(row: ImageRow) -> list[Finding]:
    """Finds a `file_name` that is absolute or leads out of the photos' folder."""
    text = row.file_name
    if text.startswith(("/", "\\")) or ".." in text.replace("\\", "/").split("/") or text[1:3] == ":\\":
        return [Finding("unsafe_name", row.location, f"file_name is {text!r:.200}")]
    return []


def _check_size(row: ImageRow, size: tuple[int, int], stats: ImageStats) -> list[Finding]:
    listed, stored, upright = (f"{w} x {h}" for h, w in (size, stats.stored, stats.size))
    turned = stats.orientation >= 5
    if size != stats.size:
        if turned and size == stats.stored:
            message = (
                f"EXIF orientation {stats.orientation} turns the photo to {upright} (width x height), but the JSON and "
                f"its masks have {listed}"
            )
            return [Finding("exif_rotation", row.location, message)]
        note = f" ({stored} before the EXIF tag turns it)" if turned else ""
        message = f"the JSON has {listed} (width x height), the file has {upright}{note}"
        return [Finding("size_mismatch", row.location, message)]
    if stats.orientation != 1 and stats.stored == stats.size:
        message = f"EXIF orientation is {stats.orientation}; the size is {listed} (width x height) with and without it"
        return [Finding("exif_unclear", row.location, message)]
    return []


def _web(name: str) -> str:
    return "; file_name is a web address, download the photo" if "://" in name else ""
