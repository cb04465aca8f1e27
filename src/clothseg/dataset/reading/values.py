"""Numbers as they are found in JSON: whole, as floats, as text."""

import math
import operator
import re
from typing import Any

from clothseg.errors import shown
from clothseg.files import is_finite_number

Id = int | str
_WHOLE_TEXT = re.compile(r"[+-]?\d{1,18}(\.0*)?")
_MAX_SHOWN = 60


def whole(value: Any) -> int | None:
    """The whole number of `640`, `640.0`, `"640"` or `"640.0"`; None for anything else."""
    if type(value) is int:
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        text = value.strip()
        return int(text.partition(".")[0]) if text.isascii() and _WHOLE_TEXT.fullmatch(text) else None
    try:
        return operator.index(value)  # a whole number of NumPy, where rows come from Python
    except TypeError:
        return None


def read_id(value: Any) -> Id | None:
    """An id: a whole number where it can be read as one (`7`, `7.0`, `"7"`), else a text such as `"007"` or `"a1"`.

    None if it is neither.
    """
    if not isinstance(value, str):
        return whole(value)
    text = value.strip()
    is_whole = text.isascii() and text.removeprefix("-").isdigit() and len(text) < 19 and str(int(text)) == text
    return int(text) if is_whole else text or None


def as_number(value: Any) -> float | None:
    """A finite number, also if it is written as text; None for anything else."""
    if is_finite_number(value):
        return value
    if not isinstance(value, str) or not value.isascii() or len(value) > 40:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def numbers(value: Any, count: int | None = None) -> list[float] | None:
    """A list of finite numbers, with `count` entries if that is given. None if `value` is anything else."""
    if not isinstance(value, list | tuple) or (count is not None and len(value) != count):
        return None
    return [float(item) for item in value] if all(map(is_finite_number, value)) else None


def as_numbers(value: Any, count: int | None = None) -> list[float] | None:
    """Like `numbers`, but the numbers may be written as text."""
    if not isinstance(value, list | tuple) or (count is not None and len(value) != count):
        return None
    answer = [number for item in value if (number := as_number(item)) is not None]
    return answer if len(answer) == len(value) else None


def describe(value: Any) -> str:
    """A wrong value, cut, and its type."""
    text = shown(value)
    text = text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
    return f"{text} ({'null' if value is None else type(value).__name__})"
