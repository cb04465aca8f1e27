"""Label Studio's brush format: an RGBA image as run lengths, packed into bytes."""

import numpy as np

from clothseg.instances.rle import BoolMask

_SIZES = (3, 4, 8, 16)
"""The four possible numbers of bits of a run's length. Each run selects one."""


def encode_label_studio_rle(mask: BoolMask) -> list[int]:
    """Encodes a `[H, W]` mask as bytes, row by row. Pixels of the mask are 255 in all four channels, others 0.

    The header has 32 bits for the number of values, 5 for the bits per value minus 1, and 4 times 4 for the possible
    bits of lengths minus 1. A run has a 1, 2 bits that select the bits of the length, the length minus 1, and the
    value. Zeros fill the last byte. Source: the format of `@thi.ng/rle-pack`, which Label Studio uses.
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
    """Packs bits into bytes. Zeros fill the last byte."""
    return np.packbits(np.frombuffer(bits.encode("ascii"), dtype=np.uint8) - ord("0")).tobytes()
