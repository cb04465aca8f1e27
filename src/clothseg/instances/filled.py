"""How many pixels the runs of many RLE strings fill, in a few array operations: the check of a whole results file."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_MOST_CHARACTERS = 7  # of one number; 35 bits are more than any photo has pixels


def filled_pixels(counts: Sequence[str]) -> NDArray[np.int64]:
    """Pixels that each compressed string's runs fill, `[N]`; -1 where `run_lengths` would raise.

    An RLE is whole when this is height times width. The strings are read together, so memory grows with their length:
    give some thousands at a time.
    """
    broken = np.array([not text.isascii() for text in counts], dtype=np.bool_)
    texts = ["" if bad else text for text, bad in zip(counts, broken, strict=True)]
    codes = np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8) - np.uint8(48)  # below 48 wraps round to 200
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    there = np.flatnonzero(lengths)  # strings with characters; only they are looked at from here on
    total = np.zeros(len(texts), dtype=np.int64)
    if len(there):
        ends = np.cumsum(lengths[there])
        total[there] = _filled(codes, ends - lengths[there], ends)
    return np.where(broken, -1, total)


def _filled(codes: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """The answer for strings that stand at `codes[begins:ends]`, none of them empty."""
    last = (codes & 32) == 0
    broken = np.maximum.reduceat(codes, begins) > 63
    broken |= ~last[ends - 1]  # cut inside a number
    last[ends - 1] = True
    count = np.add.reduceat(last, begins, dtype=np.int64)
    differences, longest = _numbers(codes, np.flatnonzero(last), np.cumsum(count) - count)
    broken |= longest > _MOST_CHARACTERS
    runs = _undone(differences, count)
    first = np.cumsum(count) - count
    broken |= np.minimum.reduceat(runs, first) < 0
    filled: NDArray[np.int64] = np.where(broken, -1, np.add.reduceat(runs, first))
    return filled


def _numbers(
    codes: NDArray[np.uint8], ends: NDArray[np.int64], first: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The signed numbers whose last characters are `ends`, and the longest number of each string in characters."""
    starts = np.append(0, ends[:-1] + 1)
    sizes = ends - starts + 1
    values = (codes[starts] & 31).astype(np.int64)
    for place in range(1, min(int(sizes.max()), _MOST_CHARACTERS)):
        longer = np.flatnonzero(sizes > place)
        values[longer] += (codes[starts[longer] + place] & 31).astype(np.int64) << (5 * place)
    negative = np.flatnonzero(codes[ends] & 16)
    values[negative] -= np.int64(1) << (5 * np.minimum(sizes[negative], _MOST_CHARACTERS))
    return values, np.maximum.reduceat(sizes, first)


def _undone(differences: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Runs from the differences of the format: from the fourth of a string on each adds to the run two before it.

    The sums run on over all strings, every second number for itself, and what stood there before a string is taken off.
    """
    summed = np.empty_like(differences)
    summed[0::2], summed[1::2] = np.cumsum(differences[0::2]), np.cumsum(differences[1::2])
    before = summed - differences
    first = np.cumsum(count) - count
    most = len(differences) - 1
    odd, even = before[np.minimum(first + 1, most)], before[np.minimum(first + 2, most)]
    place = np.arange(len(differences)) - np.repeat(first, count)
    runs = summed - np.where(place & 1, np.repeat(odd, count), np.repeat(even, count))
    runs[first] = differences[first]
    return runs
