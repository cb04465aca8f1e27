"""Masks from the shapes of labelling tools.

Coordinates are continuous: the first pixel covers 0 to 1. Polygons are drawn as COCO draws them, so that a dataset
imported from a tool has the same masks as the COCO file that the tool writes.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clothseg.errors import DataError, shown
from clothseg.instances import Rle, decode, encode, from_polygons
from clothseg.instances.rle import BoolMask

Points = Sequence[Sequence[float]]
"""Corners `[[x, y], ...]` in pixels."""
_FAR = 10
"""A corner this many times the photo's longer side away is a mistake, not a shape that reaches over the edge."""
MAX_PIXELS = 100_000_000
MIN_CORNERS = 3


def draw_polygon(points: Points, size: tuple[int, int], holes: Sequence[Points] = ()) -> Rle:
    """Draws a polygon with holes.

    Args:
        points: 3 or more corners.
        size: height and width of the photo.
        holes: polygons that are cut out.

    Raises:
        DataError: a polygon has fewer than 3 corners, or a corner that is no number or far outside of the photo.
    """
    check_size(size)
    mask = from_polygons([_flat(points, size)], *size)
    for hole in holes:
        mask = encode(decode(mask) & ~decode(from_polygons([_flat(hole, size)], *size)))
    return mask


def draw_rectangle(corners: Points, size: tuple[int, int]) -> Rle:
    """Draws a rectangle from two opposite corners.

    Raises:
        DataError: there are not two corners, or one is no number or far outside of the photo.
    """
    if len(corners) != 2:
        raise DataError(f"a rectangle has 2 corners; this one has {len(corners)}")
    (x1, y1), (x2, y2) = (_pair(corner) for corner in corners)
    return draw_polygon([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], size)


def draw_ellipse(
    centre: Sequence[float], radii: Sequence[float], size: tuple[int, int], *, degrees: float = 0.0
) -> Rle:
    """Draws an ellipse: the pixels whose middle is inside.

    Args:
        centre: x y in pixels.
        radii: along x and y, before it is turned.
        size: height and width of the photo.
        degrees: turn, clockwise on the screen.

    Raises:
        DataError: a number is not finite, or a radius is below 0.
    """
    check_size(size)
    (x, y), (a, b) = _pair(centre), _pair(radii)
    if min(a, b) < 0 or not math.isfinite(degrees):
        raise DataError(f"the radii are {a} and {b}, the turn {degrees}; radii start at 0")
    longest = max(a, b)
    mask = np.zeros(size, dtype=np.bool_)
    rows = slice(max(math.floor(y - longest), 0), max(math.ceil(y + longest), 0))
    columns = slice(max(math.floor(x - longest), 0), max(math.ceil(x + longest), 0))
    part = mask[rows, columns]
    if part.size and a and b:
        down = np.arange(part.shape[0])[:, None] + 0.5 + rows.start - y
        right = np.arange(part.shape[1])[None, :] + 0.5 + columns.start - x
        cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        part[:] = ((right * cosine + down * sine) / a) ** 2 + ((down * cosine - right * sine) / b) ** 2 <= 1
    return encode(mask)


def place_mask(part: BoolMask, left: int, top: int, size: tuple[int, int]) -> Rle:
    """Puts a mask `[h, w]` on an empty photo of `size` (height, width), its first pixel at `left`, `top`.

    What lies outside of the photo is cut off.
    """
    check_size(size)
    mask = np.zeros(size, dtype=np.bool_)
    y, x = max(top, 0), max(left, 0)
    inside = part[y - top :, x - left :][: max(size[0] - y, 0), : max(size[1] - x, 0)]
    if inside.size:
        mask[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return encode(mask)


def draw_runs(runs: Sequence[int], height: int, width: int) -> BoolMask:
    """Draws a mask `[height, width]` from run lengths along the rows, background first.

    Raises:
        DataError: a run is below 0, or the runs do not fill the mask.
    """
    check_size((height, width))
    lengths = np.array(runs, dtype=np.int64)
    if (lengths < 0).any() or int(lengths.sum()) != height * width:
        raise DataError(f"the runs fill {int(lengths.sum())} pixels, but the mask has {height} x {width}")
    values = np.arange(len(lengths)) % 2 == 1
    drawn: BoolMask = np.repeat(values, lengths).reshape(height, width)
    return drawn


def check_size(size: tuple[int, int]) -> None:
    """Refuses a photo without pixels, or with so many that masks would need all memory.

    Raises:
        DataError: it does.
    """
    if min(size) < 1 or size[0] * size[1] > MAX_PIXELS:
        raise DataError(f"a mask of {size[0]} x {size[1]} pixels (height x width); the limit is {MAX_PIXELS:,} pixels")


def numbers(values: object, what: str) -> list[float]:
    """A list of finite numbers from parsed JSON, or from texts.

    Raises:
        DataError: it is not a list, or has something else in it. The message begins with `what`.
    """
    if not isinstance(values, list | tuple):
        raise DataError(f"{what} must be a list of numbers, found {shown(values)}")
    answer = []
    for value in values:
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise DataError(f"{what} has {shown(value)}, which is not a number")
        answer.append(number)
    return answer


def corners(values: object, what: str) -> list[list[float]]:
    """A list of x y pairs from parsed JSON.

    Raises:
        DataError: it is something else. The message begins with `what`.
    """
    if not isinstance(values, list):
        raise DataError(f"{what} must be a list of [x, y], found {shown(values)}")
    pairs = [numbers(value, what) for value in values]
    if any(len(pair) != 2 for pair in pairs):
        raise DataError(f"{what} must be a list of [x, y]; one entry has another length")
    return pairs


def _pair(point: Sequence[float]) -> tuple[float, float]:
    x, y = numbers(list(point), "a point")
    return x, y


def _flat(points: Points, size: tuple[int, int]) -> list[float]:
    if len(points) < MIN_CORNERS:
        raise DataError(f"a polygon needs {MIN_CORNERS} or more corners; this one has {len(points)}")
    flat: NDArray[np.float64] = np.array([_pair(point) for point in points])
    if np.abs(flat).max() > _FAR * max(size):
        raise DataError(f"a corner at {np.abs(flat).max():g} is far outside of the photo ({size[0]} x {size[1]})")
    return [float(value) for value in flat.ravel()]
