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
    return [[float(v) for v in ring.ravel()] for ring in _joined(outer, holes)]


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


def _joined(outer: list[Ring], holes: list[Ring]) -> list[Ring]:
    """The outer rings, in which each hole is inserted by a vertical path from the edge above its topmost corner.

    That edge can be one of another hole. A hole is left out if the ring around it vanished when it was simplified.
    """
    if not holes:
        return outer
    rings = [*outer, *sorted(map(_from_the_top, holes), key=lambda ring: float(ring[0, 1]))]
    ends = np.cumsum([len(ring) for ring in rings])
    column, height, edge = _edges_by_column(rings)
    ring_of = np.searchsorted(ends, edge, side="right")
    inserted: defaultdict[int, list[tuple[int, Ring]]] = defaultdict(list)
    for number in range(len(rings) - 1, len(outer) - 1, -1):  # from below: what is inserted in a hole comes first
        x, y = rings[number][0]
        first, stop = np.searchsorted(column, [x, x + 1]).tolist()
        place = first + int(np.searchsorted(height[first:stop], y, side="right")) - 1
        while place >= first and ring_of[place] >= number:  # edges of its own, or of holes below
            place -= 1
        if place >= first:
            entry, around = np.array([[x, height[place]]]), _with_detours(rings[number], inserted.pop(number, []))
            parent = int(ring_of[place])
            detour = np.r_[entry, around, around[:1], entry]
            inserted[parent].append((int(edge[place]) - int(ends[parent]) + len(rings[parent]), detour))
    return [_with_detours(ring, inserted[number]) for number, ring in enumerate(outer)]


def _from_the_top(ring: Ring) -> Ring:
    """The ring from its topmost corner on, the leftmost of several."""
    return np.roll(ring, -int(np.lexsort((ring[:, 0], ring[:, 1]))[0]), axis=0)


def _edges_by_column(rings: list[Ring]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """The edges over each column of corners: column, height there, and number of the edge, from left and from above.

    Edges are numbered through all rings, each by its first corner. An edge ends before its right corner.
    """
    here = np.concatenate(rings)
    ahead = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    low, high = np.minimum(here[:, 0], ahead[:, 0]), np.maximum(here[:, 0], ahead[:, 0])
    lengths = (high - low).astype(np.int64)
    edge = np.repeat(np.arange(len(here)), lengths)
    column = low[edge] + np.arange(len(edge)) - (np.cumsum(lengths) - lengths)[edge]
    rise = (ahead - here)[edge]
    height = here[edge, 1] + (column - here[edge, 0]) / rise[:, 0] * rise[:, 1]
    order = np.lexsort((height, column))
    return column[order], height[order], edge[order]


def _with_detours(ring: Ring, detours: list[tuple[int, Ring]]) -> Ring:
    """The ring with detours, each from a place on an edge back to it. Edges are numbered by their first corner."""
    parts, done = [], 0
    for edge, detour in sorted(detours, key=lambda one: (one[0], abs(float(one[1][0, 0] - ring[one[0], 0])))):
        parts += [ring[done : edge + 1], detour]
        done = edge + 1
    return np.concatenate([*parts, ring[done:]])
