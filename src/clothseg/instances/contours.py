"""Converts masks to polygons that draw exactly the same mask, including several parts, holes and single pixels."""

from collections import defaultdict
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from clothseg.instances.rle import BoolMask

Ring = NDArray[np.float64]


def to_polygons(mask: BoolMask, tolerance: float = 0.0) -> list[list[float]]:
    """Traces the outlines of a `[H, W]` mask along the edges of its pixels: polygons `[x1, y1, x2, y2, ...]`.

    COCO has no holes, so a hole is joined to its outline by a cut without width. With tolerance 0, the polygons give
    the same mask again when they are drawn as COCO draws them.

    Args:
        mask: `[H, W]` bool.
        tolerance: how far an outline may move to have fewer points, in pixels.
    """
    outer: list[Ring] = []
    holes: list[Ring] = []
    for ring in _rings(mask):
        simple = _simplify(ring, tolerance)
        if len(simple) >= 3:
            (outer if _area(ring) > 0 else holes).append(simple)
    # From top to bottom, so that a hole can be joined to another hole above it.
    for hole in sorted(holes, key=lambda ring: float(ring[:, 1].min())):
        _join(outer, hole)
    return [[float(v) for v in ring.ravel()] for ring in outer]


def _area(ring: Ring) -> float:
    """The signed area: above 0 if the object is inside the ring."""
    x, y = ring[:, 0], ring[:, 1]
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def _simplify(ring: Ring, tolerance: float) -> Ring:
    if not tolerance:
        return ring
    return np.asarray(cv2.approxPolyDP(ring.astype(np.float32)[:, None], tolerance, True)[:, 0], dtype=np.float64)


@dataclass(frozen=True)
class _Corners:
    """The corners of all outlines.

    Attributes:
        points: `[N, 2]` x y on the grid of pixel edges. A point where two parts touch diagonally occurs twice.
        across: `[N]`, the corner at the other end of the horizontal edge.
        along: `[N]`, the corner at the other end of the vertical edge.
    """

    points: NDArray[np.int64]
    across: NDArray[np.int64]
    along: NDArray[np.int64]


def _rings(mask: BoolMask) -> list[Ring]:
    """Closed outlines through the corners. The object is on the right of the path, with y pointing down."""
    corners = _corners(mask)
    rings = []
    unseen = np.ones(len(corners.points), dtype=bool)
    across, along = corners.across.tolist(), corners.along.tolist()
    for start in range(len(unseen)):
        if not unseen[start]:
            continue
        ring, here = [], start
        while unseen[here]:
            unseen[here] = False
            other = across[here]
            unseen[other] = False
            ring += [here, other]
            here = along[other]
        rings.append(corners.points[ring].astype(np.float64))
    return [_directed(ring, mask) for ring in rings]


def _directed(ring: Ring, mask: BoolMask) -> Ring:
    """Reverses a ring if its direction is wrong. The pixel below its topmost edge shows if the object is inside."""
    top = int(np.argmin(ring[:, 1]))
    y = int(ring[top, 1])
    level = ring[ring[:, 1] == y][:, 0]
    inside = bool(mask[y, int(level.min())])
    return ring if (_area(ring) > 0) == inside else ring[::-1]


def _corners(mask: BoolMask) -> _Corners:
    padded = np.pad(mask, 1)
    nw, ne, sw, se = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    touching = (nw == se) & (ne == sw) & (nw != ne)
    odd = nw ^ ne ^ sw ^ se
    y, x = np.nonzero(odd | touching)
    twice = touching[y, x]
    points = np.stack([x, y], axis=1)
    order = np.repeat(np.arange(len(points)), 1 + twice)
    second = np.r_[False, order[1:] == order[:-1]] if len(order) else np.zeros(0, dtype=bool)
    points, double = points[order], twice[order]
    falling = nw[y, x][order]  # at a touching point: the parts are north-west and south-east
    # In a row, corners pair up from the left. The first of a double ends one edge, the second starts the next.
    across = _paired(np.lexsort((second, points[:, 0], points[:, 1])))
    # In a column they pair up from the top. The copy that ends the western edge belongs to the northern one if falling.
    southern = np.where(double, second ^ ~falling, False)
    along = _paired(np.lexsort((southern, points[:, 1], points[:, 0])))
    return _Corners(points, across, along)


def _paired(order: NDArray[np.int64]) -> NDArray[np.int64]:
    partner = np.empty(len(order), dtype=np.int64)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    return partner


def _join(rings: list[Ring], hole: Ring) -> None:
    """Inserts `hole` into the ring above its topmost corner, with a vertical path there and back."""
    start = int(np.lexsort((hole[:, 0], hole[:, 1]))[0])
    x, y = hole[start]
    best: dict[str, float] = defaultdict(float, height=-1.0)
    for number, ring in enumerate(rings):
        ahead = np.roll(ring, -1, axis=0)
        low, high = np.minimum(ring[:, 0], ahead[:, 0]), np.maximum(ring[:, 0], ahead[:, 0])
        crossing = np.nonzero((low <= x) & (x < high))[0]
        if not len(crossing):
            continue
        part = (x - ring[crossing, 0]) / (ahead[crossing, 0] - ring[crossing, 0])
        heights = ring[crossing, 1] + part * (ahead[crossing, 1] - ring[crossing, 1])
        heights[heights > y] = -1
        if heights.max() > best["height"]:
            at = int(heights.argmax())
            best.update(height=float(heights[at]), ring=number, edge=int(crossing[at]))
    if best["height"] < 0:
        return  # the ring around the hole vanished when it was simplified
    ring, edge = rings[int(best["ring"])], int(best["edge"])
    entry = np.array([[x, best["height"]]])
    around_hole = np.r_[hole[start:], hole[: start + 1]]
    rings[int(best["ring"])] = np.r_[ring[: edge + 1], entry, around_hole, entry, ring[edge + 1 :]]
