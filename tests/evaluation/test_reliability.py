"""The expected calibration error against cases worked by hand."""

import numpy as np
import pytest

from clothseg.evaluation.matches import ClassMatches
from clothseg.evaluation.reliability import Judged, expected_errors, photo_folds, reliability


def test_hand_worked_error() -> None:
    """Bin .8: scores .8 and .85, one right: |1.65 - 1|. Bin .1: scores .1 and .15, none right: .25. Of 4: .225."""
    found = reliability(np.array([0.8, 0.85, 0.1, 0.15]), np.array([True, False, False, False]))
    assert found is not None
    assert found.expected_error == pytest.approx((0.65 + 0.25) / 4)
    assert found.brier == pytest.approx((0.04 + 0.7225 + 0.01 + 0.0225) / 4)
    filled = {number: one for number, one in enumerate(found.bins) if one.count}
    assert filled.keys() == {1, 8}
    assert (filled[8].count, filled[8].right) == (2, 0.5)
    assert filled[8].score == pytest.approx(0.825)


def test_scores_that_are_right_as_often_as_they_say() -> None:
    found = reliability(np.full(10, 0.7), np.arange(10) < 7)
    assert found is not None
    assert found.expected_error == pytest.approx(0)


def test_the_score_one_is_in_the_last_bin() -> None:
    found = reliability(np.array([1.0, 0.0]), np.array([True, False]))
    assert found is not None
    assert [one.count for one in found.bins] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert found.expected_error == 0


def test_no_detections() -> None:
    assert reliability(np.zeros(0), np.zeros(0, dtype=bool)) is None
    assert len(Judged.of({})) == 0


@pytest.mark.parametrize("odd", [-1e-9, -3.5, -1e308, 1.0001, 17.0, 1e308])
def test_scores_that_are_no_probabilities(odd: float) -> None:
    """Results of other programs may have logits; their order is evaluated, an error of calibration has no meaning."""
    assert reliability(np.array([0.5, odd]), np.array([True, False])) is None


def test_detections_on_crowds_do_not_count() -> None:
    hits, ignored = np.zeros((10, 3), dtype=bool), np.zeros((10, 3), dtype=bool)
    hits[0, 0], ignored[0, 1] = True, True
    hits[5, 2] = True  # only at a higher threshold
    found = ClassMatches(np.array([4, 4, 6]), np.array([0.9, 0.8, 0.7]), hits, ignored, np.ones(7, dtype=np.int64))
    judged = Judged.of({3: found})
    assert judged.scores.tolist() == [0.9, 0.7]
    assert judged.right.tolist() == [True, False]
    assert judged.photos.tolist() == [4, 6]
    assert expected_errors(judged, judged.scores, {3: "Suit", 5: "Hat"}) == {"Suit": pytest.approx((0.1 + 0.7) / 2)}


def test_folds_have_equal_sizes_and_depend_on_the_seed() -> None:
    folds = photo_folds(13, 5)
    assert sorted(np.bincount(folds).tolist()) == [2, 2, 3, 3, 3]
    assert folds.tolist() == photo_folds(13, 5).tolist() != photo_folds(13, 5, seed=1).tolist()
