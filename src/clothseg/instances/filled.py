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
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    codes = np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8).astype(np.int64) - 48
    of_character = np.repeat(np.arange(len(texts)), lengths)
    last = (codes & 32) == 0
    text_ends = (np.cumsum(lengths) - 1)[lengths > 0]
    broken[of_character[text_ends[~last[text_ends]]]] = True  # cut inside a number
    last[text_ends] = True
    broken[of_character[(codes < 0) | (codes > 63)]] = True
    differences, of_number = _numbers(codes, last, of_character, broken)
    runs = _undone(differences, of_number, len(texts))
    broken[of_number[runs < 0]] = True
    total = np.bincount(of_number, weights=runs, minlength=len(texts)).astype(np.int64)
    return np.where(broken, -1, total)


def _numbers(
    codes: NDArray[np.int64], last: NDArray[np.bool_], of_character: NDArray[np.int64], broken: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The signed numbers of all strings, and the string of each; marks strings with an overlong number as broken."""
    ends = np.flatnonzero(last)
    starts = np.append(0, ends[:-1] + 1) if len(ends) else ends
    sizes = ends - starts + 1
    broken[of_character[ends[sizes > _MOST_CHARACTERS]]] = True
    sizes_seen = np.minimum(sizes, _MOST_CHARACTERS)
    place = np.minimum(np.arange(len(codes)) - np.repeat(starts, sizes), _MOST_CHARACTERS)
    parts = (codes & 31) << (5 * place)
    values = np.add.reduceat(parts, starts) if len(starts) else parts
    values = values - np.where(codes[ends] & 16, np.int64(1) << (5 * sizes_seen), 0)
    return values, of_character[ends]


def _undone(differences: NDArray[np.int64], of_number: NDArray[np.int64], strings: int) -> NDArray[np.int64]:
    """Runs from the differences of the format: from the fourth on each adds to the run two before it."""
    first = np.searchsorted(of_number, np.arange(strings))
    place = np.arange(len(differences)) - first[of_number]
    runs = differences.copy()
    for parity in (0, 1):
        chosen = np.flatnonzero((place % 2 == parity) & (place > 0))
        if len(chosen) == 0:
            continue
        summed = np.cumsum(differences[chosen])
        owner = of_number[chosen]
        begins = np.append(True, owner[1:] != owner[:-1])
        before = np.append(0, summed[:-1])[begins]
        runs[chosen] = summed - before[np.cumsum(begins) - 1]
    return runs
