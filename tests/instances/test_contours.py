"""Masks to polygons and back. pycocotools draws the polygons."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pycocotools import mask as referee

from clothseg import sample
from clothseg.instances import read_mask_png, to_polygons
from clothseg.openimages import MaskArchive


def drawn(polygons: list[list[float]], height: int, width: int) -> NDArray[np.bool_]:
    rle = referee.merge(referee.frPyObjects(polygons, height, width))
    return np.asarray(referee.decode(rle), dtype=bool)


@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))).filter(np.any))
def test_any_mask_is_drawn_again_pixel_by_pixel(mask: NDArray[np.bool_]) -> None:
    polygons = to_polygons(mask)
    assert all(len(p) >= 6 and len(p) % 2 == 0 for p in polygons)
    assert np.array_equal(drawn(polygons, *mask.shape), mask)


def test_nested_rings() -> None:
    mask = np.zeros((31, 31), dtype=bool)
    for step, value in ((2, True), (5, False), (8, True), (11, False), (14, True)):
        mask[step:-step, step:-step] = value
    polygons = to_polygons(mask)
    assert len(polygons) == 3
    assert np.array_equal(drawn(polygons, 31, 31), mask)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_thousands_of_holes_and_parts(share: float) -> None:
    """Such as masks that were made from photos; a search through all outlines for each hole takes minutes."""
    mask = np.random.default_rng(0).random((300, 310)) < share
    assert np.array_equal(drawn(to_polygons(mask), *mask.shape), mask)


def test_a_long_chain_of_holes() -> None:
    """Each hole is joined to the one above it."""
    mask = np.ones((4001, 3), dtype=bool)
    mask[1::2, 1] = False
    (polygon,) = to_polygons(mask)
    assert np.array_equal(drawn([polygon], *mask.shape), mask)


def test_corners_by_hand() -> None:
    mask = np.zeros((4, 5), dtype=bool)
    mask[1:3, 1:4] = True
    (polygon,) = to_polygons(mask)
    corners = set(zip(polygon[::2], polygon[1::2], strict=True))
    assert corners == {(1, 1), (4, 1), (4, 3), (1, 3)}


@pytest.mark.parametrize(("tolerance", "least"), [(0.0, 1.0), (1.0, 0.97)])
def test_real_masks(tolerance: float, least: float) -> None:
    names = [
        line.split(",")[0]
        for line in (sample.folder() / "validation-annotations-object-segmentation.csv").read_text().splitlines()[1:]
    ]
    points = 0
    with MaskArchive(sample.folder(), "validation") as archive:
        for name in names[:12]:
            mask = read_mask_png(archive.read(name))
            polygons = to_polygons(mask, tolerance)
            points += sum(len(p) // 2 for p in polygons)
            again = drawn(polygons, *mask.shape)
            assert (mask & again).sum() / (mask | again).sum() >= least
    assert points < (30_000 if tolerance == 0 else 6_000)
