"""Drops small separate parts of a garment, and closes pinholes; larger parts and gaps stay."""

import cv2
import numpy as np
from numpy.typing import NDArray

BoolMask = NDArray[np.bool_]
Plane = NDArray[np.float32]
Facts = NDArray[np.int32]


def drop_small_parts(mask: BoolMask, smallest: float) -> BoolMask:
    """Drops separate parts of a mask `[h, w]` with less than `smallest` of its area. Diagonal pixels are connected."""
    parts, facts = _parts(mask, 8)
    areas = facts[:, cv2.CC_STAT_AREA]
    kept = areas >= smallest * areas.sum()
    return np.asarray(np.concatenate([[False], kept])[parts], dtype=np.bool_)


def clean_parts(alpha: Plane, min_part: float, min_hole: float, reach: float) -> Plane:
    """Alpha without shreds and pinholes.

    A part is a connected set of pixels with alpha above 0.5; diagonal pixels are connected. A hole is a connected set
    of other pixels, not diagonally, that does not touch the border of the crop. A part disappears with its soft rim,
    and so do soft spots that belong to no part. A hole closes with its soft rim.

    Args:
        alpha: `[h, w]` float32 in 0..1.
        min_part: parts with a smaller share of the area of all parts are dropped. 0 keeps all of them, and soft spots.
        min_hole: holes with a smaller share of this area are closed. 0 keeps all of them.
        reach: the width of a soft rim, in pixels.
    """
    cleaned = alpha.copy()
    area = int(np.count_nonzero(alpha > 0.5))
    if min_part > 0:
        parts, facts = _parts(cleaned > 0.5, 8)
        for part in np.flatnonzero(facts[:, cv2.CC_STAT_AREA] < min_part * area):
            _fill(cleaned, parts, int(part) + 1, facts[part], reach, 0.0)
        spots, _ = _parts(cleaned > 0, 8)
        whole = np.zeros(int(spots.max(initial=0)) + 1, dtype=np.bool_)
        whole[spots[cleaned > 0.5]] = True
        cleaned[~whole[spots]] = 0
    if min_hole > 0:
        holes, facts = _parts(cleaned <= 0.5, 4)
        height, width = alpha.shape
        left, top, wide, tall, size = facts[:, :5].T
        enclosed = (left > 0) & (top > 0) & (left + wide < width) & (top + tall < height)
        for hole in np.flatnonzero(enclosed & (size < min_hole * area)):
            _fill(cleaned, holes, int(hole) + 1, facts[hole], reach, 1.0)
    return cleaned


def _parts(mask: BoolMask, connectivity: int) -> tuple[NDArray[np.int32], Facts]:
    """The connected parts of a mask, numbered from 1 `[h, w]`, and for each left, top, width, height, area `[N, 5]`."""
    _, numbers, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=connectivity)
    return np.asarray(numbers, dtype=np.int32), np.asarray(facts[1:], dtype=np.int32)


def _fill(alpha: Plane, parts: NDArray[np.int32], part: int, facts: Facts, reach: float, value: float) -> None:
    """Gives a part, and the soft rim that is nearer to it than to any other part, the alpha `value`."""
    left, top, width, height = (int(v) for v in facts[:4])
    border = int(reach) + 2
    window = (
        slice(max(top - border, 0), top + height + border),
        slice(max(left - border, 0), left + width + border),
    )
    mine, others = parts[window] == part, (parts[window] > 0) & (parts[window] != part)
    soft = (alpha[window] > 0) & (alpha[window] < 1) & ~others
    near = _distance(mine)
    rim = soft & (near <= reach)
    if others.any():
        rim &= near < _distance(others)
    alpha[window][mine | rim] = value


def _distance(mask: BoolMask) -> Plane:
    """The distance of each pixel to the nearest pixel of a mask that is not empty."""
    return np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5), dtype=np.float32)
