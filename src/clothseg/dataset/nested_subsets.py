"""Nested, stratified parts of the photos: each part contains the smaller ones, and has the classes in proportion."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

import numpy as np

from clothseg.errors import ConfigError, DataError

PARTS = ("1/8", "1/4", "1/2", "1")
PLAN = "plan.json"
"""The file of a learning curve with the photos of the parts."""


def nested_subsets(labels: Mapping[int, Collection[str]], sizes: Sequence[int], seed: int = 0) -> list[list[int]]:
    """Parts of the photos with the given sizes, each a prefix of one order.

    In that order, the next photo is always the one after which the photos with each class are closest to their share of
    all photos. Of equal ones, a hash of seed and id decides, so the order of the photos does not matter.

    Args:
        labels: the classes of each photo, by its id.
        sizes: number of photos of each part, at least 1.
        seed: another one gives another order.

    Raises:
        DataError: a size is below 1, or larger than the number of photos.
    """
    if wrong := [size for size in sizes if not 1 <= size <= len(labels)]:
        raise DataError(f"a part of {wrong[0]} photos is not possible: there are {len(labels)} photos")
    photos = sorted(labels, key=lambda photo: (hashlib.sha256(f"{seed}/{photo}".encode()).digest(), photo))
    names = sorted({name for of_photo in labels.values() for name in of_photo})
    has = np.array([[name in labels[photo] for name in names] + [not labels[photo]] for photo in photos], dtype=float)
    totals = has.sum(axis=0)
    share, weight = totals / len(photos), 1 / np.maximum(totals, 1)
    counts, left = np.zeros_like(totals), np.ones(len(photos), dtype=bool)
    order: list[int] = []
    for number in range(1, max(sizes, default=0) + 1):
        distance = ((counts + has - number * share) ** 2 @ weight).round(9)
        best = int(np.where(left, distance, np.inf).argmin())
        counts += has[best]
        left[best] = False
        order.append(photos[best])
    return [order[:size] for size in sizes]


def part_sizes(parts: Sequence[str], photos: int) -> list[int]:
    """Numbers of photos of the parts, rising: fractions up to 1, or numbers above 1.

    Raises:
        ConfigError: a part is not a number, is not above 0, or has more photos than there are; there are no parts.
    """
    if not parts:
        raise ConfigError(f"--parts: there is no part; the default is {','.join(PARTS)}")
    sizes = set()
    for text in parts:
        try:
            part = Fraction(text.strip())
        except (ValueError, ZeroDivisionError) as error:
            raise ConfigError(f"--parts: {text!r} is not a fraction such as 1/4 or a number of photos") from error
        size = round(part * photos) if part <= 1 else int(part)
        if not 1 <= size <= photos or (part > 1 and part.denominator != 1):
            raise ConfigError(
                f"--parts: {text} of {photos} photos is not possible; use fractions up to 1, or numbers of photos "
                f"from 2 to {photos}"
            )
        sizes.add(size)
    return sorted(sizes)
