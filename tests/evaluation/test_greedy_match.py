"""Greedy matching: cases by hand, and generated ones against a search through lists."""

import numpy as np
import pytest

from clothseg.evaluation.greedy_match import greedy_match


def test_each_detection_takes_the_free_object_with_the_highest_iou() -> None:
    iou = np.array([[0.7, 0.9], [0.6, 0.8], [0.9, 0.9]])
    assert greedy_match(iou, np.ones((3, 2), dtype=bool), 0.5).tolist() == [1, 0, -1]


def test_pairs_that_are_not_allowed_or_below_the_minimum_do_not_match() -> None:
    iou = np.array([[0.9, 0.5], [0.49, 0.4]])
    allowed = np.array([[False, True], [True, True]])
    assert greedy_match(iou, allowed, 0.5).tolist() == [1, -1]
    assert greedy_match(iou, allowed, 0.49).tolist() == [1, 0]


def test_of_equal_ious_the_first_object_is_taken() -> None:
    assert greedy_match(np.full((2, 3), 0.5), np.ones((2, 3), dtype=bool), 0.5).tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 0)])
def test_without_detections_or_objects_nothing_matches(shape: tuple[int, int]) -> None:
    assert greedy_match(np.zeros(shape), np.ones(shape, dtype=bool), 0.0).tolist() == [-1] * shape[0]


@pytest.mark.parametrize("seed", range(20))
def test_generated_matches(seed: int) -> None:
    rng = np.random.default_rng(seed)
    detections, objects = (int(count) for count in rng.integers(1, 9, 2))
    iou = np.round(rng.random((detections, objects)), 1)
    allowed = rng.random(iou.shape) < 0.7
    minimum = float(rng.choice([0.0, 0.3, 0.5]))
    left = list(range(objects))
    expected = []
    for detection in range(detections):
        pairs = [(-iou[detection, o], o) for o in left if allowed[detection, o] and iou[detection, o] >= minimum]
        expected.append(min(pairs)[1] if pairs else -1)
        if pairs:
            left.remove(expected[-1])
    assert greedy_match(iou, allowed, minimum).tolist() == expected
