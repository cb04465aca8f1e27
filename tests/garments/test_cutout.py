"""Cutting one garment out, on a rectangle whose place is known."""

import numpy as np
import pytest

from clothseg.garments import Cutout, cut_out

from .conftest import rectangles


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


def test_repr_is_one_short_line(cutout: Cutout) -> None:
    height, width = cutout.picture.shape[:2]
    size = f"{height} x {width} pixels (height x width) at x {cutout.left}, y {cutout.top}"
    assert repr(cutout) == f"Cutout(Dress, score 0.90, {size})"
    assert repr(Cutout(np.zeros((2, 3, 4), np.uint8))) == (
        "Cutout(unknown class, score 1.00, 2 x 3 pixels (height x width) at x 0, y 0)"
    )
