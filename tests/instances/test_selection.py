"""Selection of detections, compared with cases worked out by hand and with a search over all subsets."""

import itertools
import unicodedata
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clothseg.errors import ConfigError
from clothseg.instances import BoxMasks, Instances, PixelMasks, Selection, class_agnostic_nms, class_number


def strips(*rows: tuple[int, int, int, float]) -> Instances:
    """Masks that are strips of a photo one pixel high. A row is first column, end column, class, score."""
    masks = torch.zeros((len(rows), 1, 100), dtype=torch.bool)
    for mask, (start, stop, _, _) in zip(masks, rows, strict=True):
        mask[0, start:stop] = True
    boxes = torch.tensor([[start, 0, stop, 1] for start, stop, _, _ in rows], dtype=torch.float32).reshape(-1, 4)
    classes = torch.tensor([row[2] for row in rows], dtype=torch.int64)
    return Instances((1, 100), boxes, classes, PixelMasks(masks), torch.tensor([row[3] for row in rows]))


def test_an_object_with_two_classes_keeps_the_one_with_the_higher_score() -> None:
    # IoU by hand: first and second 80/100, first and third 60/100, second and third 60/80, first and fourth 80/100.
    found = strips((0, 100, 1, 0.9), (0, 80, 2, 0.8), (0, 60, 3, 0.7), (20, 100, 1, 0.6))
    assert class_agnostic_nms(found, 0.7).scores.tolist() == pytest.approx([0.9, 0.7, 0.6])
    assert class_agnostic_nms(found, 0.6).scores.tolist() == pytest.approx([0.9, 0.6])
    assert class_agnostic_nms(found, 0.80001).scores.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert class_agnostic_nms(found, 0.8).scores.tolist() == pytest.approx([0.9, 0.7, 0.6]), (
        "an IoU equal to the limit counts"
    )


def test_the_order_stays_and_the_first_of_equal_scores_wins() -> None:
    found = strips((0, 50, 1, 0.5), (50, 100, 1, 0.7), (0, 50, 2, 0.5), (50, 100, 2, 0.9))
    left = class_agnostic_nms(found, 0.5)
    assert left.boxes[:, 0].tolist() == [0, 50]
    assert left.classes.tolist() == [1, 2]
    assert np.array_equal(left.masks.pixels().numpy(), found.masks.pixels()[[0, 3]].numpy())


def test_no_detections() -> None:
    assert len(class_agnostic_nms(strips(), 0.5)) == 0
    assert len(Selection(0.5, {1: 0.2}, 0.5)(strips())) == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40), st.integers(1, 3), st.integers(1, 1000)), max_size=7),
    st.sampled_from([0.1, 0.3, 0.5, 0.9, 1.0]),
)
def test_the_remaining_set_is_the_only_consistent_one(rows: list[tuple[int, int, int, int]], iou: float) -> None:
    """A detection stays if no better rival stays. A search over all subsets finds the expected set."""
    found = strips(*((start, start + width, label, (score - n / 10) / 1001) for n, (start, width, label, score) in
                     enumerate(rows)))  # fmt: skip
    pixels = [set(range(start, start + width)) for start, width, _, _ in rows]
    scores = found.scores.tolist()

    def rivals(one: int, other: int) -> bool:
        share = len(pixels[one] & pixels[other]) / len(pixels[one] | pixels[other])
        return rows[one][2] != rows[other][2] and share >= iou

    def surer(one: int, other: int) -> bool:
        return (scores[one], -one) > (scores[other], -other)

    numbers = range(len(rows))
    fitting = [
        subset
        for size in range(len(rows) + 1)
        for subset in itertools.combinations(numbers, size)
        if all(
            (n in subset) == (not any(rivals(n, other) and surer(other, n) for other in subset if other != n))
            for n in numbers
        )
    ]
    assert len(fitting) == 1
    assert class_agnostic_nms(found, iou).scores.tolist() == [scores[n] for n in fitting[0]]


def test_thresholds_of_classes_apply_before_rivals_are_compared() -> None:
    found = strips((0, 50, 1, 0.8), (0, 50, 2, 0.6875), (50, 90, 3, 0.3))
    chosen = Selection(0.25, {1: 0.85, 2: 0.6875}, 0.5)(found)
    assert chosen.classes.tolist() == [2, 3], "the suit below its threshold does not remove the dress"
    assert Selection(0.5)(found).classes.tolist() == [1, 2]
    assert Selection()(found).classes.tolist() == [1, 2, 3]


def test_small_masks_are_compared_as_pixels() -> None:
    """Two masks in the same box, and a third whose box barely touches them."""
    boxes = torch.tensor([[0.0, 0, 40, 40], [0, 0, 40, 40], [39, 39, 60, 60]])
    masks = BoxMasks(torch.ones((3, 28, 28)), boxes, (80, 80))
    found = Instances((80, 80), boxes, torch.tensor([1, 2, 3]), masks, torch.tensor([0.6, 0.7, 0.5]))
    assert class_agnostic_nms(found, 0.9).classes.tolist() == [2, 3]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_class_numbers_do_not_depend_on_the_form_of_accents(form: Any) -> None:
    """Names of folders on macOS have accents as letters of their own; keyboards write one letter."""
    classes = [unicodedata.normalize(form, name) for name in ("Kleid", "Röcke", "Straßenschuh")]
    for other in ("NFC", "NFD"):
        assert class_number(unicodedata.normalize(other, "Röcke"), classes) == 2
        assert class_number(unicodedata.normalize(other, "RÖCKE"), classes, ignore_case=True) == 2
    assert class_number("STRASSENSCHUH ", classes, ignore_case=True) == 3
    with pytest.raises(ConfigError):
        class_number("RÖCKE", classes)


def test_class_numbers_by_name() -> None:
    classes = ["Suit", "Dress", "dress"]
    assert [class_number(name, classes) for name in classes] == [1, 2, 3]
    assert class_number("dress", classes, ignore_case=True) == 3, "an exact match wins"
    assert class_number("DRESS", classes, ignore_case=True) == 2
    with pytest.raises(ConfigError, match=r"^inference\.class_thresholds: .* 'suit'; did you mean Suit\?"):
        class_number("suit", classes)
    with pytest.raises(ConfigError, match=r"^--class: .* 'Hat'; it knows Suit, Dress, dress"):
        class_number("Hat", classes, option="--class", ignore_case=True)
