"""Nested, stratified parts of the photos: each part contains the smaller ones, and has the classes in proportion."""

import hashlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from clothseg.errors import DataError


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
