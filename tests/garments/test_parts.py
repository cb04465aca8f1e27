"""Shreds and pinholes, on alphas worked by hand."""

import numpy as np

from clothseg.garments.parts import clean_parts, drop_small_parts


def garment() -> np.ndarray:
    """A square of 40 x 40 pixels on 80 x 80: area 1600."""
    alpha = np.zeros((80, 80), np.float32)
    alpha[10:50, 10:50] = 1
    return alpha


def test_parts_below_the_share_disappear_and_others_stay() -> None:
    alpha = garment()
    alpha[60:64, 60:64] = 1  # 16 of 1600 + 16 + 17 pixels: 0.98 %
    alpha[70:71, 5:22] = 1  # 17 pixels: 1.04 %
    cleaned = clean_parts(alpha, 0.01, 0, reach=3)
    expected = garment()
    expected[70:71, 5:22] = 1
    assert np.array_equal(cleaned, expected)


def test_diagonal_pixels_are_one_part() -> None:
    alpha = garment()
    for step in range(20):
        alpha[50 + step, 50 + step] = 1  # 20 pixels, each connected only by a corner
    assert np.array_equal(clean_parts(alpha, 0.01, 0, reach=3), alpha)


def test_a_part_disappears_with_its_soft_rim_and_the_garment_keeps_its_own() -> None:
    alpha = garment()
    alpha[9, 10:50] = 0.4  # the garment's rim
    alpha[57:62, 57:62] = 0.3
    alpha[58:61, 58:61] = 1
    alpha[20:30, 60:62] = 0.2  # a spot of haze without a part
    expected = garment()
    expected[9, 10:50] = np.float32(0.4)
    assert np.array_equal(clean_parts(alpha, 0.01, 0, reach=3), expected)


def test_a_part_that_the_soft_rim_connects_is_divided_in_the_middle() -> None:
    alpha = garment()
    alpha[20, 50:56] = 0.4  # a bridge of 6 soft pixels to a shred
    alpha[20, 56:58] = 1
    cleaned = clean_parts(alpha, 0.01, 0, reach=10)
    assert cleaned[20, 50:58].tolist() == [*[np.float32(0.4)] * 3, *[0.0] * 5]


def test_pinholes_close_with_their_rim_and_gaps_stay() -> None:
    alpha = garment()
    alpha[15:18, 15:18] = 0.7
    alpha[16, 16] = 0  # 1 of 1599 - 16 pixels
    alpha[30:34, 30:34] = 0  # 16 pixels, 1 %: a gap
    closed = clean_parts(alpha, 0, 0.001, reach=3)
    expected = garment()
    expected[30:34, 30:34] = 0
    assert np.array_equal(closed, expected)
    assert np.array_equal(clean_parts(alpha, 0, 0.02, reach=3), garment())


def test_a_bay_and_a_hole_at_the_border_of_the_crop_are_no_holes() -> None:
    alpha = np.ones((40, 40), np.float32)
    alpha[0, 5] = 0  # it touches the border
    alpha[20:30, 20] = 0
    alpha[30:, 20] = 0  # a slit from below
    assert np.array_equal(clean_parts(alpha, 0, 0.5, reach=3), alpha)


def test_zero_changes_nothing() -> None:
    alpha = np.random.default_rng(0).random((60, 50)).astype(np.float32)
    assert np.array_equal(clean_parts(alpha, 0, 0, reach=3), alpha)


def test_nothing_stays_nothing() -> None:
    alpha = np.full((9, 9), 0.2, np.float32)
    assert not clean_parts(alpha, 0.01, 0.001, reach=3).any()
    assert not drop_small_parts(np.zeros((9, 9), np.bool_), 0.01).any()


def test_specks_of_a_mask_are_dropped() -> None:
    mask = garment() > 0
    mask[70, 70] = True
    assert np.array_equal(drop_small_parts(mask, 0.01), garment() > 0)
