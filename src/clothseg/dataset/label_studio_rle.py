"""Label Studio's brush strokes: an RGBA picture as runs of bits, packed into bytes."""

import numpy as np

from clothseg.instances.rle import BoolMask

_SIZES = (3, 4, 8, 16)
"""Bits that the length of a run may take; a run says which of the four it takes."""


def encode_label_studio_rle(mask: BoolMask) -> list[int]:
    """The bytes of a `[H, W]` mask, 255 in all four channels where it is set, row by row.

    A header: 32 bits for the number of values, 5 for the bits of a value, 4 times 4 for the bits of lengths (each less
    1). Then runs: a 1, 2 bits choosing the bits of the length, the length less 1, the value. Zeros fill the last byte.
    Source: the format of `@thi.ng/rle-pack`, which Label Studio uses.
    """
    values = np.asarray(mask, dtype=np.bool_).ravel()
    edges = np.flatnonzero(np.diff(values)) + 1
    starts = np.concatenate([[0], edges, [values.size]])
    bits = [f"{values.size * 4:032b}{8 - 1:05b}" + "".join(f"{size - 1:04b}" for size in _SIZES)]
    for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        bits += _runs(4 * (stop - start), 255 if values[start] else 0)
    return list(_bytes("".join(bits)))


def _runs(length: int, value: int) -> list[str]:
    longest = 1 << _SIZES[-1]
    parts = [longest] * (length // longest) + ([length % longest] if length % longest else [])
    return [_run(part, value) for part in parts]


def _run(length: int, value: int) -> str:
    choice = next(number for number, size in enumerate(_SIZES) if length <= 1 << size)
    return f"1{choice:02b}{length - 1:0{_SIZES[choice]}b}{value:08b}"


def _bytes(bits: str) -> bytes:
    """Eight bits a byte; zeros fill the last one."""
    return np.packbits(np.frombuffer(bits.encode("ascii"), dtype=np.uint8) - ord("0")).tobytes()
