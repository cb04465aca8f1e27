"""Checks many RLE strings with a few array operations, for whole results files."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clothseg.instances.rle import Rle

_CHUNK = 1 << 17  # characters read at once: arrays of this length stay in the processor's cache
_MOST_CHARACTERS = 7  # of one number; 35 bits are more than any photo has pixels
_HIGHEST = ((np.arange(256, dtype=np.int64) & 31) ^ 16) - 16  # a number's last character as 5 bits with a sign


def broken_mask(masks: Sequence[Rle]) -> tuple[int, str] | None:
    """The position of the first mask whose runs do not fill its size, and what is wrong; None if all are right."""
    filled = filled_pixels([mask["counts"] for mask in masks])
    return first_broken(filled, np.array([mask["size"] for mask in masks], dtype=np.int64).reshape(-1, 2))


def first_broken(filled: NDArray[np.int64], sizes: NDArray[np.int64]) -> tuple[int, str] | None:
    """The same as `broken_mask` for `[N]` filled pixels, see `pixel_counts`, and `[N, 2]` heights and widths."""
    wrong = np.flatnonzero(filled != sizes[:, 0] * sizes[:, 1])
    if not len(wrong):
        return None
    position = int(wrong[0])
    has = f"its runs fill {filled[position]}" if filled[position] >= 0 else "its counts cannot be read"
    height, width = sizes[position].tolist()
    return position, f"a broken mask: {has} of {height} x {width} pixels"


def filled_pixels(counts: Sequence[str]) -> NDArray[np.int64]:
    """The number of pixels that the runs of each compressed string fill, `[N]`; -1 where `run_lengths` would raise.

    An RLE is right if this is height times width.
    """
    return pixel_counts(counts)[0]


def pixel_counts(counts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pixels that the runs of each compressed string fill, and those of the object among them, both `[N]` int.

    Both are -1 where `run_lengths` would raise.
    """
    filled, areas = np.zeros((2, len(counts)), dtype=np.int64)
    size = max(_CHUNK * len(counts) // (sum(map(len, counts)) + 1), 1)
    for start in range(0, len(counts), size):
        part = slice(start, start + size)
        filled[part], areas[part] = _pixel_counts(counts[part])
    return filled, areas


def _pixel_counts(counts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    broken = np.array([not text.isascii() for text in counts], dtype=np.bool_)
    texts = ["" if bad else text for text, bad in zip(counts, broken, strict=True)] if broken.any() else counts
    codes = np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8) - np.uint8(48)  # below 48 wraps round to 200
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    there = np.flatnonzero(lengths)  # only strings with characters are read below
    filled, areas = np.zeros((2, len(texts)), dtype=np.int64)
    if len(there):
        ends = np.cumsum(lengths[there])
        filled[there], areas[there] = _sums(codes, ends - lengths[there], ends)
    return np.where(broken, -1, filled), np.where(broken, -1, areas)


def _sums(
    codes: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The answers for strings that stand at `codes[begins:ends]`, none of them empty."""
    last = (codes & 32) == 0
    broken = np.maximum.reduceat(codes, begins) > 63
    broken |= ~last[ends - 1]  # cut inside a number
    last[ends - 1] = True
    count = np.add.reduceat(last, begins, dtype=np.int64)
    first = np.cumsum(count) - count
    differences, longest = _numbers(codes, np.flatnonzero(last), first)
    broken |= longest > _MOST_CHARACTERS
    runs = _undo_differences(differences, count)
    broken |= np.minimum.reduceat(runs, first) < 0
    filled = np.add.reduceat(runs, first)
    return np.where(broken, -1, filled), np.where(broken, -1, filled - _background(runs, first, count))


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


def _background(
    runs: NDArray[np.int64], first: NDArray[np.int64], count: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The sum of each string's first, third, fifth ... run, `[N]`, from the running sums of every second number."""
    answer = np.zeros(len(first), dtype=np.int64)
    for parity in (0, 1):
        some = np.flatnonzero((first & 1) == parity)
        sums = np.append(0, np.cumsum(runs[parity::2]))
        begin = first[some] // 2
        answer[some] = sums[begin + (count[some] + 1) // 2] - sums[begin]
    return answer
