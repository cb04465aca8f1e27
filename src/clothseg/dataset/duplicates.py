"""Finds copies of a photo, also resized or recompressed ones."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagehash
import numpy as np
from numpy.typing import NDArray
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
    """Pairs of photos whose hashes differ in at most `near` of 64 bits, sorted: as many as connect all such photos.

    Of thousands of frames of one scene each is near all others, so the list of all pairs would not fit into memory.
    Photos without a hash match no other.

    Args:
        hashes: values of `perceptual_hash` by photo name.
        near: the number of different bits allowed.
    """
    equal: dict[str, list[str]] = {}
    for name in sorted(name for name, digits in hashes.items() if digits):
        equal.setdefault(hashes[name], []).append(name)
    pairs = [[first, other] for first, *others in equal.values() for other in others]
    names, values = [group[0] for group in equal.values()], _numbers(equal)
    group_of = np.arange(len(names))
    for bucket in _buckets(values, near):
        for number, position in enumerate(bucket[:-1].tolist()):
            others = bucket[number + 1 :]
            others = others[group_of[others] != group_of[position]]
            for other in others[np.bitwise_count(values[others] ^ values[position]) <= near].tolist():
                if group_of[other] != group_of[position]:
                    group_of[group_of == group_of[other]] = group_of[position]
                    pairs.append([names[position], names[other]])
    return sorted(pairs)


def copies_among(own: Mapping[str, str], others: Mapping[str, str], near: int = NEAR) -> dict[str, str]:
    """The photos of `own` that are copies of one of the `others`, and which: the first by name.

    Args:
        own: values of `perceptual_hash` by photo name.
        others: the same of other photos.
        near: the number of different bits allowed.
    """
    mine, names = ([name for name, digits in of.items() if digits] for of in (own, dict(sorted(others.items()))))
    values = _numbers([*(others[name] for name in names), *(own[name] for name in mine)])
    first = np.full(len(values), len(names))
    for bucket in _buckets(values, near):
        known = bucket[bucket < len(names)]
        for position in bucket[len(known) :].tolist():
            close = known[np.bitwise_count(values[known] ^ values[position]) <= near]
            if len(close):
                first[position] = min(first[position], close[0])
    found = zip(mine, first[len(names) :].tolist(), strict=True)
    return {name: names[place] for name, place in found if place < len(names)}


def _numbers(hashes: Iterable[str]) -> NDArray[np.uint64]:
    return np.array([int(digits, 16) for digits in hashes], dtype=np.uint64)


def _buckets(values: NDArray[np.uint64], near: int) -> Iterator[NDArray[np.int64]]:
    """Positions, rising, of values that can be near one another.

    Two hashes that differ in `near` bits are equal in at least one of `near` + 1 bands of bits, so only values with an
    equal band are compared.
    """
    for low, high in itertools.pairwise(np.linspace(0, 64, near + 2).astype(int).tolist()):
        band = (values >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(band, kind="stable")
        ends = np.flatnonzero(band[order][1:] != band[order][:-1]) + 1
        yield from (part for part in np.split(order, ends) if len(part) > 1)
