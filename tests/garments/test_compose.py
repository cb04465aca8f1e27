"""Pasting, compared with pixels worked out by hand."""

import tracemalloc

import cv2
import numpy as np
import pytest

from clothseg.errors import DataError
from clothseg.garments import Cutout, best_garment, box_at, compose, keep_shape

from .conftest import photo_with, rectangles


def test_back_at_its_place_nothing_changes(cutout: Cutout) -> None:
    box = (30, 20, 70, 90)
    photo = photo_with(box)
    height, width = cutout.picture.shape[:2]
    there = cutout.left, cutout.top, cutout.left + width, cutout.top + height
    assert np.abs(compose(cutout, photo, there).astype(int) - photo).max() <= 12
    assert np.abs(compose(cutout, photo, there).astype(int) - photo).mean() < 0.2


def test_blending_by_hand() -> None:
    picture = np.zeros((1, 2, 4), np.uint8)
    picture[0] = [(200, 100, 0, 255), (200, 100, 0, 51)]
    background = np.full((3, 4, 3), 50, np.uint8)
    answer = compose(Cutout(picture), background, (1, 1, 3, 2))
    assert answer[1].tolist() == [[50] * 3, [200, 100, 0], [80, 60, 40], [50] * 3]
    assert (answer[[0, 2]] == 50).all()
    assert (background == 50).all()
    hanging = compose(Cutout(picture), background, (-1, 0, 1, 1))
    assert hanging[0, 0].tolist() == [80, 60, 40]
    assert (hanging[0, 1:] == 50).all()


@pytest.mark.parametrize("box", [(4, 0, 6, 1), (-9, -9, -2, -2), (1, 1, 1, 2), (2, 2, 1, 1), (0, 0, 90000, 90000)])
def test_impossible_boxes_are_errors(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(DataError):
        compose(Cutout(np.full((1, 2, 4), 255, np.uint8)), np.zeros((3, 4, 3), np.uint8), box)


def test_what_is_too_small_or_the_wrong_way_round_says_what_to_do() -> None:
    long = Cutout(np.full((500, 4, 4), 255, np.uint8))
    for side, across in ((3, "0.024"), (4, "0.032")):
        with pytest.raises(DataError) as caught:
            compose(long, np.zeros((side, side, 3), np.uint8), box_at(long, (side, side)))
        assert str(caught.value) == (
            f"the garment would have {across} x {side} pixels (width x height), less than one, on a photo of {side} x "
            f"{side}; choose a larger photo, scale or box"
        )
    thin = compose(long, np.zeros((100, 100, 3), np.uint8), box_at(long, (100, 100)))  # 0.8 pixels
    assert thin.any(axis=2).sum() == 100
    with pytest.raises(DataError) as caught:
        compose(long, np.zeros((300, 300, 3), np.uint8), (200.0, 20.0, 120.0, 90.0))
    assert str(caught.value) == (
        "the box for the garment has no area: left 200, top 20, right 120, bottom 90 pixels; left must be less than "
        "right, and top less than bottom"
    )


@pytest.mark.parametrize("garment", [(1, 1), (4, 7), (5, 6), (7, 7)])
@pytest.mark.parametrize("photo", [(20, 20), (21, 20), (20, 23)])
def test_a_garment_in_its_own_size_keeps_its_pixels(garment: tuple[int, int], photo: tuple[int, int]) -> None:
    """In the middle, its box begins and ends at half pixels where one side is even and the other odd."""
    picture = np.random.default_rng(3).integers(0, 256, (*garment, 4), dtype=np.uint8)
    picture[..., 3] = 255
    cutout, background = Cutout(picture), np.zeros((*photo, 3), np.uint8)
    pasted = compose(cutout, background, box_at(cutout, photo))
    top, left = ((of_photo - side + 1) // 2 for of_photo, side in zip(photo, garment, strict=True))
    background[top : top + garment[0], left : left + garment[1]] = picture[..., :3]
    assert (pasted == background).all()


def test_an_enlarged_garment_is_that_of_opencv_and_takes_memory_for_what_is_seen() -> None:
    """The garment would have 37 million pixels, 592 MB as floats."""
    rng = np.random.default_rng(4)
    picture = rng.integers(0, 256, (30, 20, 4), dtype=np.uint8)
    picture[..., 3] = 255
    background = np.zeros((90, 70, 3), np.uint8)
    for box in ((-25, -14, 60, 101), (10, 5, 31, 77), (-900, 20, 1100, 50)):
        left, top, right, bottom = box
        whole = cv2.resize(picture[..., :3].astype(np.float32), (right - left, bottom - top))
        there = np.rint(whole[max(-top, 0) :, max(-left, 0) :][: 90 - max(top, 0), : 70 - max(left, 0)])
        answer = compose(Cutout(picture), background, box, match_light=False)
        part = answer[max(top, 0) : bottom, max(left, 0) : right].astype(int)
        assert np.abs(part - there).max() <= 1
    tracemalloc.start()
    compose(Cutout(picture), np.zeros((1500, 1000, 3), np.uint8), (-2000, -2500, 3000, 4900))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 250e6


def test_boxes_by_hand() -> None:
    cutout = Cutout(np.full((40, 20, 4), 255, np.uint8))
    assert box_at(cutout, (100, 200)) == (90, 30, 110, 70)
    assert box_at(cutout, (100, 200), centre=(10, 50), scale=0.5) == (5, 40, 15, 60)
    assert box_at(cutout, (20, 200)) == (95, 0, 105, 20)
    assert keep_shape(cutout, (0, 0, 100, 40)) == (40, 0, 60, 40)
    assert keep_shape(cutout, (0, 10, 10, 100)) == (0, 10, 10, 30)


def test_colours_follow_the_light_unless_switched_off(cutout: Cutout) -> None:
    dim = np.full((120, 100, 3), 70, np.uint8)
    place_there = (30, 20, 70, 90)
    matched, kept = (compose(cutout, dim, place_there, match_light=way) for way in (True, False))
    assert kept[50, 50].tolist() == [190, 50, 40]
    assert matched[50, 50, 0] < 170


def test_the_best_garment_of_the_class_is_chosen() -> None:
    found = rectangles((120, 100), ((0, 0, 10, 10), 2, 0.6), ((20, 30, 60, 80), 2, 0.8), ((5, 5, 90, 90), 1, 0.9))
    photo = photo_with((20, 30, 60, 80))
    old = best_garment(photo, found, 2)
    assert old is not None
    assert old.box == pytest.approx((20, 30, 60, 80), abs=2)
    assert best_garment(photo, found, 3) is None
