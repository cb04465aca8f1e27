"""Compares two sets of detections on the same photos: which is better, and whether the difference can be chance.

The evaluator's library has a paired bootstrap too, but it counts a photo that is drawn twice only once, which makes its
intervals too narrow, and it has neither boundary AP nor the report's protocol.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clothseg.errors import DataError
from clothseg.evaluation.comparison.resampling import differences, sample_sides
from clothseg.evaluation.evaluate import NO_BOUNDARY, SCORE_THRESHOLD, metrics_for_resampling
from clothseg.evaluation.intervals import ResampledMetrics
from clothseg.evaluation.stored import shared_data, stored_results, truth_for
from clothseg.evaluation.truth import GroundTruth, read_truth
from clothseg.evaluation.validate_results import validate_results
from clothseg.evaluation.values import Comparison


def compare_runs(
    a: Path | str,
    b: Path | str,
    data: Path | str | None = None,
    *,
    split: str | None = None,
    score_threshold: float = SCORE_THRESHOLD,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compares two evaluated runs, or COCO results files, on the same photos; see `compare_results`.

    Args:
        a: folder of an evaluated run, or a results file.
        b: the same for the second side.
        data: a dataset's folder (its validation photos), or a COCO ground truth file; by default the runs' dataset.
        split: another split of it than `val`.
        score_threshold: of `report_mAP`.
        resamples: number of bootstrap samples of the photos.
        seed: of these samples.

    Raises:
        RunError: a folder is not an evaluated run, a run was evaluated on other photos, or the dataset is not found.
        DataError: a file cannot be read, or does not fit the ground truth.
    """
    a, b = Path(a), Path(b)
    truth = truth_for(Path(data) if data is not None else shared_data([a, b]), split, (a, b))
    first, second = stored_results(a, truth), stored_results(b, truth)
    found = compare_results(
        truth, first.rows, second.rows, score_threshold=score_threshold, resamples=resamples, seed=seed
    )
    left_out = [f"{name}: {note}" for name, side in (("A", first), ("B", second)) for note in side.notes]
    return replace(found, notes=(*left_out, *found.notes))


def compare_results(
    truth: Path | Mapping[str, Any] | GroundTruth,
    a: Sequence[Any],
    b: Sequence[Any],
    *,
    score_threshold: float = SCORE_THRESHOLD,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Comparison:
    """Compares two lists of COCO results on the same ground truth by a paired bootstrap over its photos.

    Args:
        truth: COCO instances, as a file, as parsed JSON, or read already.
        a: results of the first side, as parsed JSON.
        b: results of the second side.
        score_threshold: of `report_mAP`.
        resamples: number of bootstrap samples of the photos, the same for both sides.
        seed: of these samples.
        level: fraction of the differences inside the interval.

    Raises:
        DataError: the ground truth is not COCO instances, a result does not fit it (the message starts with A or B), or
            the two sides have no metric in common.
    """
    known = truth if isinstance(truth, GroundTruth) else read_truth(truth)
    notes: list[str] = []
    sides: list[ResampledMetrics] = []
    for name, results in (("A", a), ("B", b)):
        try:
            rows, remarks = validate_results(results, known)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        notes += [f"{name}: {sentence}" for sentence in remarks]
        sides.append(metrics_for_resampling(known, rows, score_threshold))
    if all("mask" in side.kinds and "boundary" not in side.kinds for side in sides):
        notes.append(NO_BOUNDARY)
    first, second = sample_sides([[side] for side in sides], len(known.photos), resamples=resamples, seed=seed)
    found = differences(first, second, level=level, seed=seed)
    if not found:
        raise DataError(
            "A and B have no metric in common: the ground truth has no object, or one side has no masks and the other "
            "no boxes"
        )
    return Comparison(found, len(known.photos), tuple(notes))
