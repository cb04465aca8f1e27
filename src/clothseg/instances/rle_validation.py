"""Checks many RLE strings with a few array operations, for whole results files."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clothseg.instances.rle import Rle

_CHUNK = 4096  # masks checked at once
_MOST_CHARACTERS = 7  # of one number; 35 bits are more than any photo has pixels
_HIGHEST = ((np.arange(256, dtype=np.int64) & 31) ^ 16) - 16  # a number's last character as 5 bits with a sign


def broken_mask(masks: Sequence[Rle]) -> tuple[int, str] | None:
    """The position of the first mask whose runs do not fill its size, and what is wrong; None if all are right."""
    for start in range(0, len(masks), _CHUNK):
        some = masks[start : start + _CHUNK]
        filled = filled_pixels([mask["counts"] for mask in some])
        wrong = np.flatnonzero(filled != np.array([math.prod(mask["size"]) for mask in some], dtype=np.int64))
        if len(wrong):
            position = int(wrong[0])
            has = f"its runs fill {filled[position]}" if filled[position] >= 0 else "its counts cannot be read"
            height, width = some[position]["size"]
            return start + position, f"a broken mask: {has} of {height} x {width} pixels"
    return None


def filled_pixels(counts: Sequence[str]) -> NDArray[np.int64]:
    """The number of pixels that the runs of each compressed string fill, `[N]`; -1 where `run_lengths` would raise.

    An RLE is right if this is height times width. All strings are read at once, so memory grows with their length.
    Give a few thousand per call.
    """
    broken = np.array([not text.isascii() for text in counts], dtype=np.bool_)
    texts = ["" if bad else text for text, bad in zip(counts, broken, strict=True)]
    codes = np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8) - np.uint8(48)  # below 48 wraps round to 200
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    there = np.flatnonzero(lengths)  # only strings with characters are read below
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
    runs = _undo_differences(differences, count)
    first = np.cumsum(count) - count
    broken |= np.minimum.reduceat(runs, first) < 0
    filled: NDArray[np.int64] = np.where(broken, -1, np.add.reduceat(runs, first))
    return filled


def _numbers(
    codes: NDArray[np.uint8], ends: NDArray[np.int64], first: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The signed numbers whose last characters are at `ends`, and the characters of each string's longest number.

    The last character has the highest 5 bits and the sign, so reading starts there. Most numbers have only one.
    """
    values = _HIGHEST[codes[ends]]
    sizes = ends - np.append(-1, ends[:-1])
    longer = np.flatnonzero(sizes > 1)
    for place in range(1, _MOST_CHARACTERS):
        values[longer] = 32 * values[longer] + (codes[ends[longer] - place] & 31)
        longer = longer[sizes[longer] > place + 1]
    return values, np.maximum.reduceat(sizes, first)


def _undo_differences(differences: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """The runs from the format's differences: from the fourth number of a string on, each adds to the run two before.

    The cumulative sums of every second number cross all strings. The sum before each string is then subtracted.
    """
    runs = np.empty_like(differences)
    np.cumsum(differences[0::2], out=runs[0::2])
    np.cumsum(differences[1::2], out=runs[1::2])
    first = np.cumsum(count) - count
    most = len(differences) - 1
    odd, even = (runs[place] - differences[place] for place in (np.minimum(first + n, most) for n in (1, 2)))
    # `first` may lie in the even or the odd sum. That sum belongs to the even numbers of the string.
    second = first & 1
    runs[0::2] -= np.repeat(np.where(second, odd, even), (count + 1 - second) // 2)
    runs[1::2] -= np.repeat(np.where(second, even, odd), (count + second) // 2)
    runs[first] = differences[first]
    return runs
