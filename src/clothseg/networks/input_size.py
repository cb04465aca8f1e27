"""The size of a photo after resizing, by the settings of the input."""

import math
from collections.abc import Callable
from typing import Literal

from clothseg.config import InputSettings

Size = tuple[int, int]


def resized_size(photo: Size, settings: InputSettings, rounding: Literal["down", "half_up", "half_even"]) -> Size:
    """Height and width of a photo (height, width) after resizing, before padding."""
    if settings.resize == "stretch":
        return settings.height, settings.width
    if settings.resize == "fit":
        scale = min(settings.height / photo[0], settings.width / photo[1])
    elif settings.resize == "square":
        scale = max(1.0, settings.min_side / min(photo))
        if round(max(photo) * scale) > settings.max_side:
            scale = settings.max_side / max(photo)
    elif rounding == "half_up":
        return _keep_ratio_half_up(photo, settings)
    else:
        scale = min(settings.min_side / min(photo), settings.max_side / max(photo))
    functions: dict[str, Callable[[float], int]] = {"down": math.floor, "half_up": _half_up, "half_even": round}
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
