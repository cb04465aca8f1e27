"""The size of a photo after resizing, by the settings of the input."""

import math
from collections.abc import Callable
from typing import Literal

from clothseg.config import InputSettings

Size = tuple[int, int]
SizeRounding = Literal["down", "half_up", "half_even", "long_down"]
"""How the resized sides become whole: all `down`; `half_up` after the short side; to the nearest, `half_even`; or the
short side exactly and the long one down."""


def resized_size(photo: Size, settings: InputSettings, rounding: SizeRounding) -> Size:
    """Height and width of a photo (height, width) after resizing, before padding."""
    if settings.resize == "stretch":
        return settings.height, settings.width
    if settings.resize == "fit":
        scale = min(settings.height / photo[0], settings.width / photo[1])
    elif settings.resize == "square":
        scale = max(1.0, settings.min_side / min(photo))
        if round(max(photo) * scale) > settings.max_side:
            scale = settings.max_side / max(photo)
    elif settings.resize == "none":
        scale = min(1.0, settings.max_side / max(photo))
    elif rounding == "half_up":
        return _keep_ratio_half_up(photo, settings)
    elif rounding == "long_down" and (long := settings.min_side * max(photo) // min(photo)) <= settings.max_side:
        return (settings.min_side, long) if photo[0] < photo[1] else (long, settings.min_side)
    else:
        scale = min(settings.min_side / min(photo), settings.max_side / max(photo))
    functions: dict[str, Callable[[float], int]] = {
        "down": math.floor,
        "half_up": _half_up,
        "half_even": round,
        "long_down": math.floor,
    }
    rounded = functions[rounding]
    return max(1, rounded(photo[0] * scale)), max(1, rounded(photo[1] * scale))


def _keep_ratio_half_up(photo: Size, settings: InputSettings) -> Size:
    """Both sides by the short one's scale; if the long one is too long then, both sides again."""
    short = settings.min_side / min(photo)
    height, width = (short * photo[0], short * photo[1])
    height, width = (settings.min_side, width) if photo[0] < photo[1] else (height, settings.min_side)
    if (longest := max(height, width)) > settings.max_side:
        again = settings.max_side / longest
        height, width = height * again, width * again
    return max(1, _half_up(height)), max(1, _half_up(width))


def _half_up(value: float) -> int:
    return int(value + 0.5)
