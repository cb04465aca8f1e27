"""COCO results and calibration: which results are right, and the same results with other scores."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from clothseg.evaluation import coco
from clothseg.evaluation.evaluate import missing_note
from clothseg.evaluation.reliability import Judged
from clothseg.evaluation.truth import GroundTruth
from clothseg.evaluation.validate_results import validate_results
from clothseg.instances import Calibration, CocoResult


def judged_results(truth: GroundTruth, results: Sequence[CocoResult], classes: Sequence[str]) -> Judged:
    """Which results are right: by masks, or by boxes if some have no mask.

    Args:
        truth: the ground truth.
        results: COCO results.
        classes: names of the network's classes 1..K; the ground truth may have some of them.

    Returns:
        the detections, with the network's class numbers.
    """
    rows, _ = validate_results(results, truth)
    kind = "box" if missing_note("mask", truth, rows) else "mask"
    numbers = class_numbers(truth, classes)
    return Judged.of({numbers[c]: found for c, found in coco.matches(truth, rows, kind).items() if c in numbers})


def class_numbers(truth: GroundTruth, classes: Sequence[str]) -> dict[int, int]:
    """The network's class number 1..K of each category id."""
    return {c: classes.index(name) + 1 for c, name in truth.names.items() if name in classes}


def calibrated_results(
    results: Sequence[CocoResult], calibration: Calibration, numbers: Mapping[int, int]
) -> list[CocoResult]:
    """The results with calibrated scores, those of each photo by falling score.

    Args:
        results: with the network's own scores; those of a photo are consecutive.
        calibration: of the network.
        numbers: the network's class number of each category id.
    """
    return _with_scores(results, calibration.scores(*_scores_and_classes(results, numbers)))


def raw_results(
    results: Sequence[CocoResult], calibration: Calibration, numbers: Mapping[int, int]
) -> list[CocoResult]:
    """The inverse of `calibrated_results`, up to rounding."""
    return _with_scores(results, calibration.raw_scores(*_scores_and_classes(results, numbers)))


def _scores_and_classes(
    results: Sequence[CocoResult], numbers: Mapping[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    scores = np.array([row["score"] for row in results], dtype=np.float64)
    return scores, np.array([numbers[row["category_id"]] for row in results], dtype=np.int64)


def _with_scores(results: Sequence[CocoResult], scores: NDArray[np.float64]) -> list[CocoResult]:
    changed: list[CocoResult] = []
    for row, score in zip(results, scores.tolist(), strict=True):
        new = row.copy()
        new["score"] = score
        changed.append(new)
    by_photo = groupby(changed, key=lambda row: row["image_id"])
    return [row for _, rows in by_photo for row in sorted(rows, key=lambda row: -row["score"])]
