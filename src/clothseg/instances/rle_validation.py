"""Checks many RLE strings with a few array operations, for whole results files."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clothseg.instances.rle import Rle

_CHUNK = 1 << 17  # characters read at once: arrays of this length stay in the processor's cache
_MOST_CHARACTERS = 7  # of one number; 35 bits are more than any photo has pixels


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
    broken = np.zeros(len(counts), dtype=np.bool_)
    joined = "".join(counts)
    if not joined.isascii():
        broken = np.array([not text.isascii() for text in counts], dtype=np.bool_)
        counts = ["" if bad else text for text, bad in zip(counts, broken, strict=True)]
        joined = "".join(counts)
    codes = np.frombuffer(joined.encode("ascii"), dtype=np.uint8) - np.uint8(48)  # below 48 wraps round to 200
    lengths = np.fromiter(map(len, counts), dtype=np.int64, count=len(counts))
    there = np.flatnonzero(lengths)  # only strings with characters are read below
    filled, areas = np.zeros((2, len(counts)), dtype=np.int64)
    if len(there):
        ends = np.cumsum(lengths[there])
        filled[there], areas[there] = _sums(codes, ends - lengths[there], ends)
    return np.where(broken, -1, filled), np.where(broken, -1, areas)


def _sums(
    codes: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The answers for strings that stand at `codes[begins:ends]`, none of them empty."""
    last = codes < 32  # a number's last character; the others have the bit 32
    broken = ~last[ends - 1]  # cut inside a number
    last[ends - 1] = True
    if codes.max() > 63:
        broken |= np.maximum.reduceat(codes, begins) > 63
    others = np.flatnonzero(~last)
    first = begins - np.searchsorted(others, begins)  # each string's first number
    differences, longest = _numbers(codes, last, others)
    broken[np.searchsorted(first, longest, side="right") - 1] = True
    # the first, third, ... run of a string is background; these are numbers at even or at odd places of the array
    sums = np.zeros((2, len(first)), dtype=np.int64)  # background, object
    for parity in (0, 1):
        is_object = (first & 1) ^ parity
        start = (first + 1 - parity) // 2
        total, negative = _sums_of_runs(differences[parity::2], start, is_object == 0)
        sums[is_object, np.arange(len(first))] = total
        broken |= negative
    return np.where(broken, -1, sums.sum(axis=0)), np.where(broken, -1, sums[1])


def _numbers(
    codes: NDArray[np.uint8], last: NDArray[np.bool_], others: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The signed numbers of all strings, and which of them have too many characters.

    The last character of a number has the highest 5 bits and the sign. Most numbers have no other.

    Args:
        codes: 0..63 for each character.
        last: whether the character is a number's last one.
        others: places of the other characters.
    """
    values = (codes[last] ^ np.uint8(16)).astype(np.int64) - 16  # 5 bits with a sign
    if not len(others):
        return values, others
    number = others - np.arange(len(others))  # the number that each of these characters belongs to
    start = np.flatnonzero(np.diff(number, prepend=-1))
    length = np.diff(start, append=len(others))
    place = np.minimum(np.arange(len(others)) - np.repeat(start, length), _MOST_CHARACTERS)
    low = np.add.reduceat((codes[others].astype(np.int64) & 31) << 5 * place, start)
    long = number[start]
    values[long] = (values[long] << 5 * np.minimum(length, _MOST_CHARACTERS)) + low
    return values, long[length >= _MOST_CHARACTERS]


def _sums_of_runs(
    differences: NDArray[np.int64], start: NDArray[np.int64], background: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The sum of every second run of each string, `[N]`, and whether one of these runs is negative.

    Each number adds to the run before it in `differences`, except for the first two of a string's background.

    Args:
        differences: every second number of all strings together.
        start: `[N]`, where each string begins in `differences`.
        background: `[N]`, whether the string's first number is among these.
    """
    length = np.diff(start, append=len(differences))
    runs = np.cumsum(differences)
    there = np.flatnonzero(length)
    before = np.zeros(len(start), dtype=np.int64)  # the running sum at the place from which on runs are sums
    before[there] = runs[start[there]] - np.where(background[there], 0, differences[start[there]])
    runs -= np.repeat(before, length)
    alone = start[background]
    runs[alone] = differences[alone]
    negative = np.zeros(len(start), dtype=np.bool_)
    if len(runs) and runs.min() < 0:
        negative[there] = np.minimum.reduceat(runs, start[there]) < 0
    sums = np.zeros(len(start), dtype=np.int64)
    sums[there] = np.add.reduceat(runs, start[there]) if len(there) else 0
    return sums, negative
