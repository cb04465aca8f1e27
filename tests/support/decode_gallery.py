"""Reads the data of a gallery as another program would."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def read_gallery(folder: Path) -> dict[str, Any]:
    """The content of `gallery/data.js`, which is one assignment of JSON."""
    text = (folder / "gallery" / "data.js").read_text(encoding="ascii")
    start = "globalThis.clothsegGallery = "
    assert text.startswith(start)
    assert text.endswith(";\n")
    found: dict[str, Any] = json.loads(text[len(start) : -2])
    return found


def decode_numbers(text: str) -> list[int]:
    """The integers of a base-64 VLQ text: groups end at a digit below 32."""
    numbers: list[int] = []
    group: list[int] = []
    for character in text:
        digit = _DIGITS.index(character)
        group.append(digit % 32)
        if digit < 32:
            value = sum(five * 32**place for place, five in enumerate(group))
            numbers.append(-(value // 2) if value % 2 else value // 2)
            group = []
    assert group == []
    return numbers


def rings(text: str) -> list[NDArray[np.int64]]:
    """The points `[N, 2]` of each ring of an object."""
    return [np.cumsum(np.reshape(decode_numbers(ring), (-1, 2)), axis=0) for ring in text.split()]
