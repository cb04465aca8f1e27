"""Finds copies of a photo, also resized or recompressed ones."""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from clothseg.cores import usable_cores
from clothseg.errors import PhotoError
from clothseg.photos import RgbImage, read_photo
from clothseg.progress import ProgressBar, no_progress

# Measured: resized or recompressed copies differ in at most 2 of 64 bits, different photos in 4 or more.
NEAR = 3
_FLAT = 2.0  # standard deviation of grey values, of 255


def perceptual_hash(photo: RgbImage) -> str:
    """A perceptual hash of a photo `[H, W, 3]`: 16 hex digits that hardly change if it is resized or recompressed.

    Empty for a photo of one colour, because its digits would be noise.
    """
    picture = Image.fromarray(photo).convert("L")
    if np.asarray(picture.resize((64, 64), Image.Resampling.BOX)).std() < _FLAT:
        return ""
    return str(imagehash.phash(picture))


def hash_photos(paths: Sequence[Path], progress: ProgressBar = no_progress) -> list[str]:
    """The perceptual hash of each photo; empty for one that cannot be read. `progress` wraps them for a bar."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        return list(progress(pool.map(_hash, paths), len(paths), "comparing photos"))


def _hash(path: Path) -> str:
    try:
        return perceptual_hash(read_photo(path))
    except PhotoError:
        return ""


def near_duplicates(hashes: Mapping[str, str], near: int = NEAR) -> list[list[str]]:
    """Pairs of photos whose hashes differ in at most `near` of 64 bits, sorted.

    Photos without a hash match no other. Two hashes that differ in `near` bits are equal in at least one of `near` + 1
    bands of bits, so only photos with an equal band are compared.

    Args:
        hashes: values of `perceptual_hash` by photo name.
        near: the number of different bits allowed.
    """
    names = sorted(name for name, digits in hashes.items() if digits)
    values = np.array([int(hashes[name], 16) for name in names], dtype=np.uint64)
    edges = np.linspace(0, 64, near + 2).astype(int)
    pairs: set[tuple[int, int]] = set()
    for low, high in itertools.pairwise(edges):
        band = (values >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        with_band: dict[int, list[int]] = defaultdict(list)
        for position, value in enumerate(band.tolist()):
            with_band[value].append(position)
        for same in with_band.values():
            for number, position in enumerate(same[:-1]):
                others = np.array(same[number + 1 :])
                close = others[np.bitwise_count(values[others] ^ values[position]) <= near]
                pairs.update((position, int(other)) for other in close)
    return [[names[one], names[other]] for one, other in sorted(pairs)]
