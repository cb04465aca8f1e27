"""Drawing changes only the pixels that it should, on photos of any size."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from clothseg.instances import Instances, PixelMasks
from clothseg.pictures import class_colour, draw_instances, draw_outlines
from clothseg.pictures.labels import Label, draw_labels

NAMES = ["Suit", "Dress", "Jeans"]


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def rectangles(size: tuple[int, int], boxes: list[tuple[int, int, int, int]], crowd: bool = False) -> Instances:
    masks = torch.zeros((len(boxes), *size), dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
    return Instances(
        size=size,
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        classes=torch.arange(len(boxes)) % 3 + 1,
        masks=PixelMasks(masks),
        scores=torch.linspace(0.9, 0.3, len(boxes)),
        crowd=torch.full((len(boxes),), crowd),
    )


def test_the_input_photo_stays_and_no_instances_change_nothing() -> None:
    photo = noise(120, 80)
    before = photo.copy()
    assert (draw_instances(photo, rectangles((120, 80), []), NAMES) == photo).all()
    assert (draw_instances(photo, rectangles((120, 80), [(10, 10, 60, 90)]), NAMES) != photo).any()
    assert (photo == before).all()


@settings(max_examples=25, deadline=None)
@given(height=st.integers(40, 400), width=st.integers(40, 400), crowd=st.booleans())
def test_pixels_away_from_mask_and_box_stay(height: int, width: int, crowd: bool) -> None:
    photo = noise(height, width)
    x1, y1, x2, y2 = width // 4, height // 4, width * 3 // 4, height * 3 // 4
    drawn = draw_instances(photo, rectangles((height, width), [(x1, y1, x2, y2)], crowd), NAMES, labels=False)
    margin = 2 + int(max((height * width) ** 0.5 / 240, 1.0) * 2)
    away = np.ones((height, width), dtype=bool)
    away[y1 - margin : y2 + margin, x1 - margin : x2 + margin] = False
    assert (drawn[away] == photo[away]).all()
    middle = np.s_[height // 2 - 3 : height // 2 + 3, width // 2 - 3 : width // 2 + 3]
    assert (drawn[middle] != photo[middle]).any()


def test_fill_blends_photo_and_colour() -> None:
    photo = np.full((200, 200, 3), 100, dtype=np.uint8)
    drawn = draw_instances(photo, rectangles((200, 200), [(40, 40, 160, 160)]), NAMES, fill=0.5, labels=False)
    expected = (100 + np.asarray(class_colour(1), dtype=float)) / 2
    assert np.abs(drawn[100, 100] - expected).max() <= 1


def test_a_small_instance_stays_visible_on_a_large_one_with_a_higher_score() -> None:
    photo = np.zeros((200, 200, 3), dtype=np.uint8)
    instances = rectangles((200, 200), [(10, 10, 190, 190), (80, 80, 120, 120)])
    for order in (torch.tensor([0, 1]), torch.tensor([1, 0])):
        drawn = draw_instances(photo, instances[order], NAMES, fill=1.0, labels=False)
        assert tuple(drawn[100, 100]) == class_colour(2)


def test_crowds_are_grey_and_have_no_label() -> None:
    photo = np.zeros((200, 200, 3), dtype=np.uint8)
    drawn = draw_instances(photo, rectangles((200, 200), [(20, 60, 180, 180)], crowd=True), NAMES)
    assert (drawn == drawn[..., :1]).all()
    assert (drawn[:50] == 0).all()


def test_the_colour_function_and_names_by_id_are_used() -> None:
    photo = np.zeros((100, 100, 3), dtype=np.uint8)
    instances = rectangles((100, 100), [(20, 20, 90, 90)])
    drawn = draw_instances(photo, instances, {1: "Suit"}, colours=lambda _: (1, 2, 3), fill=1.0, labels=False)
    assert tuple(drawn[50, 50]) == (1, 2, 3)
    assert (draw_instances(photo, instances, {}) != draw_instances(photo, instances, {1: "Suit"})).any()


@pytest.mark.parametrize(("height", "width"), [(60, 40), (8, 8), (1, 1), (90, 60), (3000, 2000)])
def test_any_size_of_photo_can_be_drawn_on(height: int, width: int) -> None:
    boxes = [(0, 0, width, height), (width // 2, 0, width, height // 2), (0, 0, 0, 0)]
    drawn = draw_instances(noise(height, width), rectangles((height, width), boxes), NAMES)
    assert drawn.shape == (height, width, 3)
    assert drawn.dtype == np.uint8


def test_instances_of_another_size_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"photo of \(40, 50\) .* but this one has \(50, 40\)"):
        draw_instances(noise(50, 40), rectangles((40, 50), []), NAMES)


@settings(max_examples=30, deadline=None)
@given(
    size=st.tuples(st.integers(30, 500), st.integers(30, 500)),
    corners=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=25),
    font=st.floats(8, 30),
)
def test_labels_stay_inside_and_do_not_overlap(
    size: tuple[int, int], corners: list[tuple[float, float]], font: float
) -> None:
    picture = Image.new("RGB", size)
    anchors = [(int(x * size[0]), int(y * size[1])) for x, y in corners]
    labels = [Label(("Luggage and bags 0.93", "Luggage and bags"), (x, y, x + 9, y + 9), (1, 2, 3)) for x, y in anchors]
    drawn = draw_labels(picture, labels, font)
    for x1, y1, x2, y2 in drawn:
        assert 0 <= x1 < x2 <= size[0]
        assert 0 <= y1 < y2 <= size[1]
    for one, other in itertools.combinations(drawn, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    outside = np.ones(size[::-1], dtype=bool)
    for x1, y1, x2, y2 in drawn:
        outside[y1:y2, x1:x2] = False
    assert (np.asarray(picture)[outside] == 0).all()


def test_labels_with_one_anchor_are_all_drawn_if_there_is_room() -> None:
    labels = [Label((f"Dress {n}",), (50, 50, 90, 90), (200, 30, 30)) for n in range(12)]
    assert len(draw_labels(Image.new("RGB", (300, 300)), labels, 12)) == 12


@pytest.mark.parametrize("boxes", [False, True])
def test_the_box_of_an_object_without_a_mask_is_dashed_and_not_filled(boxes: bool) -> None:
    photo = noise(100, 120)
    truth = rectangles((100, 120), [(10, 20, 90, 80)])
    no_mask = replace(
        truth, masks=PixelMasks(torch.zeros((1, 100, 120), dtype=torch.bool)), has_mask=torch.tensor([False])
    )
    changed = (draw_instances(photo, no_mask, NAMES, labels=False, boxes=boxes) != photo).any(axis=2)
    frame = np.zeros((100, 120), dtype=bool)
    frame[20:80, 10:90] = True
    frame[22:78, 12:88] = False
    assert not changed[~frame].any()
    top = changed[20, 10:90]
    assert 0.3 < top.mean() < 0.7 and np.abs(np.diff(top.astype(int))).sum() > 5
    assert changed[20:80, 10].any() and changed[79, 10:90].any() and changed[20:80, 89].any()


def test_outlines_have_dashed_boxes_for_objects_without_a_mask() -> None:
    photo = np.full((200, 240, 3), 128, dtype=np.uint8)
    truth = rectangles((200, 240), [(20, 40, 180, 160)])
    masks = PixelMasks(torch.zeros((1, 200, 240), dtype=torch.bool))
    rows: list[NDArray[np.bool_]] = [
        np.asarray(draw_outlines(photo, replace(truth, masks=masks, has_mask=torch.tensor([known])))).max(axis=2) < 60
        for known in (True, False)
    ]
    assert rows[0][40, 22:178].all()
    assert 0.2 < rows[1][40, 22:178].mean() < 0.8
    assert not rows[1][60:140, 40:160].any()
