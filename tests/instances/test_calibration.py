"""Calibrated scores against the formula worked by hand, and their order."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clothseg.instances import Calibration, Instances, PixelMasks
from clothseg.instances.calibration import OFFSETS, TEMPERATURES

TWO = Calibration((2.0, 0.5), (0.0, -1.0), (3, 4), 5, "abc")


def test_hand_worked_scores() -> None:
    """odds 9 with temperature 2: odds 3. odds 3 squared, with offset -1: odds 9 / e."""
    odds = 9 / math.e
    found = TWO.scores(np.array([0.9, 0.75]), np.array([1, 2]))
    assert found == pytest.approx([0.75, odds / (1 + odds)], abs=1e-6)


def test_the_inverse_gives_the_scores_back() -> None:
    scores, classes = np.linspace(0.01, 0.99, 50), np.tile([1, 2], 25)
    assert TWO.raw_scores(TWO.scores(scores, classes), classes) == pytest.approx(scores, abs=1e-9)


def test_scores_of_zero_and_one_stay_finite_and_in_range() -> None:
    found = TWO.scores(np.array([0.0, 1.0, 0.0, 1.0], dtype=np.float32), np.array([1, 1, 2, 2]))
    assert ((found >= 0) & (found < 1)).all()
    assert np.isfinite(TWO.raw_scores(np.array([0.0, 1.0]), np.array([1, 2]))).all()


@settings(deadline=None, max_examples=200)
@given(
    st.floats(*TEMPERATURES),
    st.floats(*OFFSETS),
    st.lists(st.floats(2.0**-20, 1.0, width=32), min_size=2, max_size=30, unique=True),
)
def test_different_scores_keep_their_order(temperature: float, offset: float, scores: list[float]) -> None:
    """Strictly: a tie would change the average precision."""
    calibration = Calibration((temperature,), (offset,), (0,), 1, "")
    values = np.sort(np.array(scores, dtype=np.float32))
    assert (np.diff(calibration.scores(values, np.ones(len(values), dtype=np.int64))) > 0).all()


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("start", [1.0, 0.5, 2.0**-20])
def test_neighbouring_float32_scores_stay_apart(temperature: float, offset: float, start: float) -> None:
    values = [np.float32(start)]
    for _ in range(5):
        values.append(np.nextafter(values[-1], np.float32(0)))
    calibration = Calibration((temperature,), (offset,), (0,), 1, "")
    assert (np.diff(calibration.scores(np.array(values), np.ones(6, dtype=np.int64))) < 0).all()


def test_instances_are_sorted_again() -> None:
    """Class 2 is trusted less: the second detection passes the first."""
    masks = torch.zeros((2, 4, 4), dtype=torch.bool)
    masks[0, 0, 0] = True
    boxes = torch.tensor([[0.0, 0, 1, 1], [1, 1, 2, 2]])
    found = Instances((4, 4), boxes, torch.tensor([2, 1]), PixelMasks(masks), torch.tensor([0.8, 0.75]))
    changed = Calibration((1.0, 1.0), (0.0, -3.0), (0, 0), 1, "")(found)
    assert changed.classes.tolist() == [1, 2]
    assert changed.boxes.tolist() == [[1, 1, 2, 2], [0, 0, 1, 1]]
    assert changed.masks.pixels().sum((1, 2)).tolist() == [0, 1]
    assert changed.scores.tolist() == pytest.approx([0.75, 1 / (1 + math.exp(3) / 4)], abs=1e-6)


def test_nothing_found_stays_nothing() -> None:
    none = Instances((4, 4), torch.zeros((0, 4)), torch.zeros(0, dtype=torch.int64), PixelMasks(torch.zeros(0, 4, 4)))
    assert len(TWO(none)) == 0


def test_json_round_trip() -> None:
    assert Calibration.from_json(TWO.to_json(), 2) == TWO


@pytest.mark.parametrize(
    ("change", "classes"),
    [
        ({}, 3),
        ({"temperatures": [0.0, 1.0]}, 2),
        ({"offsets": [float("nan"), 1.0]}, 2),
        ({"offsets": [1.0]}, 2),
        ({"temperatures": "ab"}, 2),
    ],
)
def test_a_wrong_calibration_is_refused(change: dict[str, object], classes: int) -> None:
    text = json.dumps(json.loads(TWO.to_json()) | change)
    with pytest.raises((ValueError, TypeError, KeyError)):
        Calibration.from_json(text, classes)
