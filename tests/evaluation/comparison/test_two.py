"""Comparing two sets of detections: against the library's own paired bootstrap, and cases with a known answer."""

from typing import Any

import hotcoco
import numpy as np
import pytest

from clothseg.errors import DataError
from clothseg.evaluation import compare_results, evaluate_coco
from clothseg.evaluation.coco import matches, run_evaluator
from clothseg.evaluation.intervals import Resampler, draws
from clothseg.evaluation.tables import comparison_table
from clothseg.evaluation.truth import read_truth

from ..conftest import generated

Tree = dict[str, Any]


def without(results: list[Tree], share: float) -> list[Any]:
    rng = np.random.default_rng(0)
    return [row for row in results if rng.random() > share]


def test_equal_results_have_no_difference() -> None:
    truth, results = generated(1, photos=10)
    found = compare_results(truth, results, list(results), resamples=50)
    assert all((d.change, d.interval.low, d.interval.high) == (0, 0, 0) for d in found.differences.values())
    assert "A and B are the same" in comparison_table(found, "a", "b")


def test_metrics_equal_the_evaluation_and_differences_equal_the_library() -> None:
    truth, results = generated(4, photos=30, ties=False)
    worse = without(results, 0.4)
    found = compare_results(truth, worse, results, resamples=100, score_threshold=0.2)
    for side, rows in (("a", worse), ("b", results)):
        overall = evaluate_coco(truth, rows, resamples=0, score_threshold=0.2).overall
        for name in ("mask_AP", "mask_AP50", "box_AP", "boundary_AP", "report_mAP"):
            assert getattr(found.differences[name], side) == pytest.approx(overall[name], abs=1e-9), name
    known = read_truth(truth)
    first, second = (run_evaluator(known, rows, "mask") for rows in (worse, results))
    theirs = hotcoco.compare(first, second)["deltas"]
    assert found.differences["mask_AP"].change == pytest.approx(theirs["AP"], abs=1e-9)
    assert found.differences["mask_AP50"].change == pytest.approx(theirs["AP50"], abs=1e-9)


def test_without_the_library_for_boundaries_the_other_metrics_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, results = generated(4, photos=10)
    whole = compare_results(truth, without(results, 0.4), results, resamples=20)
    monkeypatch.setattr("clothseg.evaluation.evaluate.is_installed", lambda package: package != "vernier")
    found = compare_results(truth, without(results, 0.4), results, resamples=20)
    assert found.differences == {n: d for n, d in whole.differences.items() if not n.startswith("boundary")}
    assert [note for note in found.notes if "pip install vernier" in note] == list(set(found.notes) - set(whole.notes))


def test_the_library_counts_a_photo_that_is_drawn_twice_only_once() -> None:
    """So its paired bootstrap is not used; if photos count once, our interval is as narrow as the library's."""
    truth, results = generated(4, photos=30, ties=False)
    known, worse = read_truth(truth), without(results, 0.4)
    first, second = (run_evaluator(known, rows, "mask") for rows in (worse, results))
    theirs = hotcoco.compare(first, second, n_bootstrap=300)
    sides = [Resampler(list(matches(known, rows, "mask").values())) for rows in (worse, results)]
    spreads = []
    for most in (30, 1):
        drawn = np.minimum(np.concatenate(list(draws(30, 300, 0))), most)
        worse_ap50, ap50 = (side.average_precision(drawn)[:, 0] for side in sides)
        spreads.append(float(np.std(ap50 - worse_ap50)))
    assert theirs["ci"]["AP50"]["std_err"] == pytest.approx(spreads[1], rel=0.12)
    assert spreads[0] > 1.12 * spreads[1]


def test_a_clear_difference_names_the_better_side_in_both_orders() -> None:
    truth, results = generated(4, photos=30)
    worse = without(results, 0.7)
    better = comparison_table(compare_results(truth, worse, results, resamples=60), "a", "b")
    turned = comparison_table(compare_results(truth, results, worse, resamples=60), "a", "b")
    assert "B is better by" in better
    assert "A is better by" in turned
    sentence = better.split("B is better by ")[1].split("\n")[0]
    assert sentence in turned


def test_a_small_difference_can_be_chance() -> None:
    truth, results = generated(4, photos=30)
    found = compare_results(truth, results, results[:-1], resamples=60)
    interval = found.differences["mask_AP"].interval
    assert interval is not None and interval.low <= 0 <= interval.high
    assert "can be chance" in comparison_table(found, "a", "b")
    assert "are the same" in comparison_table(compare_results(truth, results, results, resamples=60), "a", "b")


def test_the_interval_is_narrower_than_that_of_one_evaluation() -> None:
    truth, results = generated(5, photos=30)
    slightly = without(results, 0.1)
    difference = compare_results(truth, slightly, results, resamples=100).differences["mask_AP50"].interval
    alone = evaluate_coco(truth, results, resamples=100).intervals["mask_AP50"]
    assert difference.high - difference.low < 0.7 * (alone.high - alone.low)


def test_an_error_names_the_side() -> None:
    truth, results = generated(1)
    with pytest.raises(DataError, match=r"B: result 0 .*999"):
        compare_results(truth, results, [results[0] | {"image_id": 999}])
    with pytest.raises(DataError, match="no metric in common"):
        compare_results(truth | {"annotations": []}, results, results, resamples=10)
