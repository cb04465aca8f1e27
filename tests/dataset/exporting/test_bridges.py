"""One ring of several: the same pixels and area, the shortest bridges, and a path that does not cross itself."""

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from label_files import Mask
from numpy.typing import NDArray
from pycocotools import mask as pycoco
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist

from clothseg.dataset.exporting.outlines import joined
from clothseg.instances import to_polygons

Ring = NDArray[np.float64]
BLOCK = np.kron([[1, 0, 1], [0, 0, 0], [1, 0, 1]], np.ones((2, 2))).astype(bool)
TOUCHING = np.eye(5, dtype=bool) | np.eye(5, dtype=bool)[::-1]
INSIDE = np.pad(np.pad(np.pad(np.ones((1, 2), dtype=bool), 2), 1, constant_values=True), 1)
BESIDE = np.pad(np.ones((9, 1), dtype=bool), ((0, 0), (0, 3)))
BESIDE[4, 3] = True


def joined_ring(polygons: list[list[float]]) -> Ring:
    return np.array(joined(polygons)).reshape(-1, 2)


def drawn(ring: Ring, size: tuple[int, int]) -> Mask:
    (rle,) = pycoco.frPyObjects([ring.ravel().tolist()], *size)
    return np.asarray(pycoco.decode(rle)).astype(bool)


def on_sides(polygon: list[float]) -> Ring:
    """The corners of a polygon, and the points of the pixel grid on its sides."""
    corners = np.array(polygon).reshape(-1, 2)
    found = []
    for one, other in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        steps = int(abs(other - one).max())
        found += [one + (other - one) * step / max(steps, 1) for step in range(max(steps, 1))]
    return np.array(found)


def shortest(polygons: list[list[float]]) -> float:
    """The length of the shortest bridges, from all distances between all points. Touching rings count 1e-6."""
    rings = [on_sides(polygon) for polygon in polygons]
    between = np.array([[max(cdist(one, other).min(), 1e-6) for other in rings] for one in rings])
    return float(minimum_spanning_tree(np.triu(between, 1)).sum())


def length(ring: Ring) -> float:
    return float(np.hypot(*(np.roll(ring, -1, axis=0) - ring).T).sum())


def crossings(ring: Ring) -> int:
    """Number of pairs of sides that cross between their ends."""
    one, other = ring, np.roll(ring, -1, axis=0)

    def sides(a: Ring, b: Ring, points: Ring) -> Ring:
        """On which side of each line each point is."""
        (dx, dy), (px, py) = (b - a).T[:, :, None], points.T[:, None] - a.T[:, :, None]
        turned: Ring = np.sign(dx * py - dy * px)
        return turned

    apart = sides(one, other, one) * sides(one, other, other) < 0
    return int((apart & apart.T).sum()) // 2


def turns(ring: Ring) -> float:
    """How often the path turns around itself: once if it never crosses itself, also not where it meets itself."""
    steps = np.roll(ring, -1, axis=0) - ring
    steps = steps[(steps != 0).any(axis=1)]
    angles = np.arctan2(steps[:, 1], steps[:, 0])
    bends = (np.roll(angles, -1) - angles + np.pi) % (2 * np.pi) - np.pi
    return float(bends.sum() / (2 * np.pi))


@given(mask=arrays(bool, (11, 13)).filter(lambda mask: bool(mask.any())))
@example(mask=BLOCK)
@example(mask=TOUCHING)
@example(mask=INSIDE)
@example(mask=BESIDE)
@settings(max_examples=150, deadline=None)
def test_one_ring_has_the_pixels_and_the_area_and_does_not_cross_itself(mask: Mask) -> None:
    polygons = to_polygons(mask)
    ring = joined_ring(polygons)
    assert (drawn(ring, (mask.shape[0], mask.shape[1])) == mask).all()
    assert cv2.contourArea(ring.astype(np.float32), oriented=True) == mask.sum()
    assert crossings(ring) == 0
    separate = [np.array(polygon).reshape(-1, 2) for polygon in polygons]
    assert {tuple(point) for part in separate for point in part} <= set(map(tuple, ring))
    bridges = length(ring) - sum(map(length, separate))
    assert bridges == pytest.approx(2 * shortest(polygons), abs=1e-3)


@given(mask=arrays(bool, (6, 7), elements=st.sampled_from([False, False, True])).filter(lambda mask: bool(mask.any())))
@settings(max_examples=100, deadline=None)
def test_bridges_from_one_place_are_taken_in_turn(mask: Mask) -> None:
    """Here parts do not touch, and have no cuts."""
    apart = np.zeros((18, 21), dtype=bool)
    apart[::3, ::3] = mask
    assert turns(joined_ring(to_polygons(apart))) == pytest.approx(1)


@given(mask=arrays(bool, (11, 13)).filter(lambda mask: bool(mask.any())), tolerance=st.floats(0.3, 3))
@settings(max_examples=60, deadline=None)
def test_a_simplified_outline_has_the_same_pixels_in_one_ring(mask: Mask, tolerance: float) -> None:
    polygons = to_polygons(np.kron(mask, np.ones((3, 3))).astype(bool), tolerance)
    if not polygons:
        return
    separate = np.zeros((33, 39), dtype=bool)
    for polygon in polygons:
        separate ^= drawn(np.array(polygon), (33, 39))
    together = drawn(joined_ring(polygons), (33, 39))
    assert (together != separate).sum() == 0


def test_thousands_of_parts_are_one_ring() -> None:
    """Of 3,000 pixels that touch, two by two."""
    mask = np.zeros((200, 300), dtype=bool)
    mask[::5, ::8] = True
    mask[1::5, 1::8] = True
    ring = joined_ring(to_polygons(mask))
    assert (drawn(ring, (200, 300)) == mask).all()
    assert cv2.contourArea(ring.astype(np.float32), oriented=True) == mask.sum()
