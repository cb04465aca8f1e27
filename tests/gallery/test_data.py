"""The compact form of the data: numbers, outlines, scores."""

import json

import cv2
import numpy as np
import pytest
from decode_gallery import decode_numbers, rings
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from clothseg.gallery import Entry, GalleryClass, GalleryInfo, GalleryObject, Link
from clothseg.gallery.data import data_text, encode_numbers, entry_row
from clothseg.gallery.outlines import mask_outlines
from clothseg.instances import encode


@pytest.mark.parametrize(
    ("numbers", "text"),
    # of the source map specification and its usual examples
    [([0], "A"), ([1], "C"), ([-1], "D"), ([15], "e"), ([16], "gB"), ([-16], "hB"), ([123], "2H"), ([0, 1, -2], "ACF")],
)
def test_numbers_are_those_of_source_maps(numbers: list[int], text: str) -> None:
    assert encode_numbers(numbers) == text


@given(st.lists(st.integers(-(2**20), 2**20)))
def test_numbers_come_back(numbers: list[int]) -> None:
    assert decode_numbers(encode_numbers(numbers)) == numbers


def blob(height: int, width: int) -> NDArray[np.bool_]:
    """A ring with a hole, and a part of its own."""
    y, x = np.mgrid[:height, :width]
    far = np.hypot((y - height * 0.5) / height, (x - width * 0.45) / width)
    part = (y > 0.8 * height) & (x > 0.85 * width)
    return np.asarray((far < 0.38) & (far > 0.12) | part)


@pytest.mark.parametrize("size", [(120, 90), (900, 1400), (3000, 1800)])
def test_outlines_draw_the_mask_again(size: tuple[int, int]) -> None:
    mask = blob(*size)
    one = GalleryObject(1, 0.5, float(mask.mean()), (0, 0, 1, 1), mask_outlines(encode(mask)))
    row = entry_row(Entry("a", size[1], size[0], [one]))
    scale = 1024 / max(size)
    drawn = np.zeros((round(size[0] * scale), round(size[1] * scale)), dtype=np.uint8)
    cv2.fillPoly(drawn, [ring.astype(np.int32) for ring in rings(row[8][0][4])], 1)
    want = cv2.resize(mask.astype(np.uint8), drawn.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    assert (drawn.astype(bool) & want).sum() / (drawn.astype(bool) | want).sum() > 0.96
    assert len(row[8][0][4]) < 1500
    assert row[8][0][2] == pytest.approx(10_000 * mask.mean(), abs=1)


def test_an_object_without_a_pixel_has_no_outline() -> None:
    assert mask_outlines(encode(np.zeros((5, 8), dtype=bool))) == []


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_score_never_passes_a_threshold_that_it_does_not_reach(score: float, threshold: float) -> None:
    info = GalleryInfo("c", "t", [GalleryClass("Suit", "#000000", threshold)])
    row = entry_row(Entry("a", 10, 10, [GalleryObject(1, score, 0.1, (0, 0, 1, 1))]))
    data = json.loads("".join(data_text(info, [row])))
    shown = data["entries"][0][8][0][1] / 1e4 >= data["classes"][0][2]
    assert shown or score < threshold
    assert not shown or score > threshold - 1e-4


def test_no_name_becomes_markup() -> None:
    name = "</script><img src=x onerror=alert(1)> \" ' & 漢字 \u2028"
    info = GalleryInfo("c", name, [GalleryClass(name, "#000000")])
    text = "".join(data_text(info, [entry_row(Entry(name, 9, 9, [], links=[Link(name, "a.png")], text=name))]))
    assert "<" not in text
    assert text.isascii()
    data = json.loads(text)
    assert (data["classes"][0][0], data["entries"][0][0], data["entries"][0][7]) == (name, name, name)


def test_a_wrong_outline_far_outside_is_kept_near() -> None:
    ring = np.array([[-1e12, 0], [1e12, 0], [1e12, 50], [0, 50]])
    row = entry_row(Entry("a", 100, 100, [GalleryObject(1, 1, 1, (-1e9, 0, 1e12, 5), [ring])]))
    assert np.abs(rings(row[8][0][4])[0]).max() <= 8192
    assert max(map(abs, row[8][0][3])) <= 8192
