"""Photos that show the same picture: copies, resized, recompressed."""

import itertools
from collections import defaultdict
from collections.abc import Mapping

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Copies of one photo, smaller or compressed anew, differ in 2 of 64 bits at most; different photos in 4 or more.
NEAR = 3
_FLAT = 2.0  # of 255


def perceptual_hash(photo: NDArray[np.uint8]) -> str:
    """16 hex digits that hardly change when a photo `[H, W, 3]` is resized or compressed anew.

    Empty for a photo of one colour, where the digits would be noise.
    """
    picture = Image.fromarray(photo).convert("L")
    if np.asarray(picture.resize((64, 64), Image.Resampling.BOX)).std() < _FLAT:
        return ""
    return str(imagehash.phash(picture))


def near_duplicates(hashes: Mapping[str, str], near: int = NEAR) -> list[list[str]]:
    """Pairs of photos whose hashes differ in at most `near` of 64 bits, each pair sorted, all in order.

    Photos without a hash are like no other. Two such hashes agree in one of `near` + 1 bands of bits at least; only
    photos that share a band are compared.
    """
    names = sorted(name for name, digits in hashes.items() if digits)
    values = np.array([int(hashes[name], 16) for name in names], dtype=np.uint64)
    edges = np.linspace(0, 64, near + 2).astype(int)
    pairs: set[tuple[int, int]] = set()
    for low, high in itertools.pairwise(edges):
        band = (values >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        places: dict[int, list[int]] = defaultdict(list)
        for place, value in enumerate(band.tolist()):
            places[value].append(place)
        for same in places.values():
            for position, place in enumerate(same[:-1]):
                others = np.array(same[position + 1 :])
                close = others[np.bitwise_count(values[others] ^ values[place]) <= near]
                pairs.update((place, int(other)) for other in close)
    return [[names[one], names[other]] for one, other in sorted(pairs)]
