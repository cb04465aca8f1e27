"""Fitting a calibration: against another optimiser, known temperatures, and what it must not change."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from clothseg.errors import DataError
from clothseg.evaluation import evaluate_coco
from clothseg.evaluation.calibrated_results import calibrated_results, class_numbers, judged_results, raw_results
from clothseg.evaluation.calibration import (
    check_calibration,
    cross_fitted_scores,
    fit_calibration,
    fit_scale_and_offset,
)
from clothseg.evaluation.reliability import Judged, reliability
from clothseg.evaluation.truth import read_truth

from .conftest import generated


def drawn(
    count: int, temperature: float, offset: float, *, seed: int = 0, class_id: int = 1, photos: int = 50
) -> Judged:
    """Detections that are right as often as scores of this temperature and offset say."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.05, 0.99, count)
    share = 1 / (1 + np.exp(-(np.log(scores / (1 - scores)) / temperature + offset)))
    right = rng.random(count) < share
    return Judged(scores, right, np.full(count, class_id), rng.integers(0, photos, count))


def joined(*parts: Judged) -> Judged:
    return Judged(
        np.concatenate([p.scores for p in parts]),
        np.concatenate([p.right for p in parts]),
        np.concatenate([p.classes for p in parts]),
        np.concatenate([p.photos for p in parts]),
    )


def newton(logits: NDArray[np.float64], right: NDArray[np.bool_], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Logistic regression by Newton's method, with derivatives from autograd."""
    x, y, w = (torch.tensor(part, dtype=torch.float64) for part in (logits, right.astype(float), weights))

    def loss(values: torch.Tensor) -> torch.Tensor:
        return (
            w * torch.nn.functional.binary_cross_entropy_with_logits(values[0] * x + values[1], y, reduction="none")
        ).sum()

    values = torch.tensor([1.0, 0.0], dtype=torch.float64)
    for _ in range(50):
        gradient = torch.autograd.functional.jacobian(loss, values)  # type: ignore[no-untyped-call]
        hessian = torch.autograd.functional.hessian(loss, values)  # type: ignore[no-untyped-call]
        values = values - torch.linalg.solve(hessian, gradient)
    return float(values[0]), float(values[1])


@pytest.mark.parametrize("seed", range(4))
def test_the_fit_is_that_of_newtons_method(seed: int) -> None:
    found = drawn(300, 1.7, -0.6, seed=seed)
    weights = np.random.default_rng(seed).uniform(0, 2, 300)
    logits = np.log(found.scores / (1 - found.scores))
    assert fit_scale_and_offset(logits, found.right, weights) == pytest.approx(
        newton(logits, found.right, weights), abs=1e-4
    )


def test_known_temperatures_and_offsets_are_found() -> None:
    judged = joined(drawn(20_000, 2.0, -1.0), drawn(20_000, 0.8, 0.5, seed=1, class_id=2))
    found = fit_calibration(judged, 2, photos=50, truth="t")
    assert found.temperatures == pytest.approx([2.0, 0.8], rel=0.08)
    assert found.offsets == pytest.approx([-1.0, 0.5], abs=0.08)
    assert found.detections == (20_000, 20_000)
    assert (found.photos, found.truth) == (50, "t")


def test_a_class_without_detections_takes_the_values_of_all() -> None:
    judged = drawn(500, 2.0, -1.0)
    found = fit_calibration(judged, 3, photos=50, truth="")
    weights = np.ones(500)
    scale, offset = fit_scale_and_offset(np.log(judged.scores / (1 - judged.scores)), judged.right, weights)
    assert found.temperatures == pytest.approx([1 / scale] * 3, rel=1e-3)
    assert found.offsets == pytest.approx([offset] * 3, abs=1e-3)
    assert found.detections == (500, 0, 0)


def test_few_detections_move_a_class_less_than_many() -> None:
    """All detections of class 2 are wrong: the more there are, the lower its scores become."""

    def score(count: int) -> float:
        wrong = Judged(np.full(count, 0.8), np.zeros(count, dtype=bool), np.full(count, 2), np.zeros(count, np.int64))
        found = fit_calibration(joined(drawn(2000, 1.0, 0.0), wrong), 2, photos=50, truth="")
        return float(found.scores(np.array([0.8]), np.array([2]))[0])

    few, some, many = score(2), score(50), score(1000)
    assert 0.7 < few < 0.85
    assert few > some > many
    assert many < 0.1


@pytest.mark.parametrize("right", [True, False])
def test_detections_of_one_kind_are_refused(right: bool) -> None:
    judged = Judged(np.full(3, 0.5), np.full(3, right), np.ones(3, np.int64), np.zeros(3, np.int64))
    with pytest.raises(DataError, match=f"all 3 detections are {'right' if right else 'wrong'}"):
        fit_calibration(judged, 1, photos=3, truth="")
    with pytest.raises(DataError, match="there is no detection"):
        fit_calibration(Judged.of({}), 1, photos=3, truth="")


def test_cross_fitting_never_looks_at_the_photo_itself() -> None:
    """Turning right and wrong around on one photo leaves its own scores as they were."""
    judged = drawn(200, 1.5, -0.5, photos=10)
    own = judged.photos == 3
    turned = Judged(judged.scores, judged.right ^ own, judged.classes, judged.photos)
    before, after = cross_fitted_scores(judged, 1, 10), cross_fitted_scores(turned, 1, 10)
    assert before[own].tolist() == after[own].tolist()
    assert (before[~own] != after[~own]).any()


def test_calibration_makes_the_error_smaller_on_photos_that_it_has_not_seen() -> None:
    judged = drawn(3000, 2.0, -1.0)
    fitted = fit_calibration(judged, 1, photos=50, truth="")
    other = drawn(3000, 2.0, -1.0, seed=9)
    checks = []
    for same, found in ((True, judged), (False, other)):
        check = check_calibration(found, fitted, {1: "Suit"}, same_photos=same)
        assert check is not None
        assert check.cross_fitted is same
        assert check.after.expected_error < 0.3 * check.before.expected_error
        assert check.errors_before == {"Suit": check.before.expected_error}
        assert check.after.brier < check.before.brier
        checks.append(check)
    direct = reliability(fitted.scores(other.scores, other.classes), other.right)
    assert checks[1].after == direct


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_of_a_class_does_not_change(seed: int) -> None:
    truth, results = generated(seed, photos=12, ties=seed == 0)
    known = read_truth(truth)
    names = ["unused", *known.names.values()]
    judged = judged_results(known, results, names)
    numbers = class_numbers(known, names)
    calibration = fit_calibration(judged, len(names), photos=12, truth="")
    changed = calibrated_results(results, calibration, numbers)
    assert sorted(row["score"] for row in changed) != sorted(row["score"] for row in results)
    before, after = (evaluate_coco(known, rows, resamples=0) for rows in (results, changed))
    assert after.classes == before.classes
    assert {k: v for k, v in after.overall.items() if k != "report_mAP"} == {
        k: v for k, v in before.overall.items() if k != "report_mAP"
    }
    back = raw_results(changed, calibration, numbers)
    assert sorted(row["score"] for row in back) == pytest.approx(sorted(row["score"] for row in results), abs=1e-6)
