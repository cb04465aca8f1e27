"""Cutting one garment out, on a rectangle whose place is known."""

from typing import Literal

import numpy as np
import pytest

from clothseg.errors import ClothsegError
from clothseg.garments import Cutout, CutoutSettings, cut_out

from .conftest import photo_with, rectangles


def test_a_cutout_is_where_the_garment_was(cutout: Cutout) -> None:
    frame = cutout.full_frame()
    assert frame.shape == (120, 100, 4)
    middle = frame[25:85, 35:65]
    assert (middle[..., 3] == 255).all()
    assert (middle[..., :3] == (190, 50, 40)).all()
    solid = np.argwhere(frame[..., 3] > 127)
    assert np.abs(solid.min(axis=0) - (20, 30)).max() <= 1
    assert np.abs(solid.max(axis=0) - (89, 69)).max() <= 1
    edge = frame[(frame[..., 3] > 25) & (frame[..., 3] < 230)]
    assert (edge[:, 0].astype(int) - edge[:, 1] > 60).all(), "the edge is red, without the green of the grass"
    assert cutout.picture[..., 3].any(axis=1).all()
    assert cutout.picture[..., 3].any(axis=0).all()


def test_instances_of_another_photo_are_an_error() -> None:
    with pytest.raises(ValueError, match="but this one has"):
        cut_out(np.zeros((5, 5, 3), np.uint8), rectangles((6, 5), ((0, 0, 2, 2), 1, 1.0)), 0)


@pytest.mark.parametrize("edges", ["regions", "grabcut"])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 300), (300, 1)])
def test_a_garment_on_a_photo_of_one_pixel_or_one_line(
    size: tuple[int, int], edges: Literal["regions", "grabcut"]
) -> None:
    photo, box = np.full((*size, 3), (190, 50, 40), np.uint8), (0, 0, size[1], size[0])
    found = cut_out(photo, rectangles(size, (box, 1, 0.9)), 0, settings=CutoutSettings(edges=edges))
    assert found is not None
    assert found.full_frame().shape == (*size, 4)
    assert (found.full_frame()[..., :3] == photo).all()


def test_shreds_and_pinholes_are_removed_unless_they_are_wanted() -> None:
    box = (30, 20, 70, 90)
    photo, found = photo_with(box), rectangles((120, 100), (box, 2, 0.9))
    pixels = found.masks.pixels()
    pixels[0, 95:99, 80:84] = True  # a shred of 16 pixels in 2800: 0.6 %
    photo[95:99, 80:84] = (190, 50, 40)
    cleaned = cut_out(photo, found, 0)
    kept = cut_out(photo, found, 0, settings=CutoutSettings(min_part=0, min_hole=0))
    assert cleaned is not None
    assert kept is not None
    assert not cleaned.full_frame()[93:101, 78:86, 3].any()
    assert (kept.full_frame()[96:98, 81:83, 3] > 127).all()
    assert (cleaned.full_frame()[25:85, 35:65, 3] == 255).all()


@pytest.mark.parametrize(("name", "value"), [("edges", "sharp"), ("min_part", -0.1), ("min_hole", 1.0)])
def test_settings_that_make_no_sense_are_an_error(name: str, value: object) -> None:
    with pytest.raises(ClothsegError, match=name):
        CutoutSettings(**{name: value})  # type: ignore[arg-type]


def test_repr_is_one_short_line(cutout: Cutout) -> None:
    height, width = cutout.picture.shape[:2]
    size = f"{height} x {width} pixels (height x width) at x {cutout.left}, y {cutout.top}"
    assert repr(cutout) == f"Cutout(Dress, score 0.90, {size})"
    assert repr(Cutout(np.zeros((2, 3, 4), np.uint8))) == (
        "Cutout(unknown class, score 1.00, 2 x 3 pixels (height x width) at x 0, y 0)"
    )
