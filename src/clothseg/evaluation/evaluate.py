"""One evaluation of anything: a network with `detect`, or detections in COCO's results form."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clothseg.config import HEADLINE_METRICS
from clothseg.errors import DataError
from clothseg.evaluation import coco
from clothseg.evaluation.boundary import boundary_matches, run_boundary
from clothseg.evaluation.intervals import ResampledMetrics, Resampler, intervals
from clothseg.evaluation.matches import ClassMatches
from clothseg.evaluation.metrics import Metrics
from clothseg.evaluation.report_map import PerImageAP, per_image_ap
from clothseg.evaluation.thresholds import best_threshold
from clothseg.evaluation.truth import GroundTruth, Row, read_truth
from clothseg.evaluation.validate_results import validate_results
from clothseg.evaluation.values import ClassMetrics, FalsePositivesOnEmpty, Threshold

if TYPE_CHECKING:
    from clothseg.dataset import CocoLikeDataset
    from clothseg.evaluation.results import Detector

SCORE_THRESHOLD = 0.05
"""Of `report_mAP` where nothing else is said: what the configuration has for detections too."""


def evaluate_network(
    detector: "Detector", dataset: "CocoLikeDataset", *, score_threshold: float = SCORE_THRESHOLD, resamples: int = 500
) -> Metrics:
    """What anything with `detect` is worth on a data set that was loaded from a file and prepared.

    Raises:
        DataError: the data set has no annotations file, or one that cannot be judged by.
    """
    from clothseg.evaluation.results import detections  # noqa: PLC0415 - torch; a results file needs none

    if dataset.source is None:
        raise DataError("to judge by, a data set must be loaded from a file")
    rows = [row for of_photo in detections(detector, dataset) for row in of_photo]
    return evaluate_coco(dataset.source, rows, score_threshold=score_threshold, resamples=resamples)


def evaluate_coco(
    truth: Path | Mapping[str, Any],
    results: Sequence[Any],
    *,
    score_threshold: float = SCORE_THRESHOLD,
    resamples: int = 500,
    seed: int = 0,
) -> Metrics:
    """All figures of detections: COCO's for masks and boxes, boundary AP, the report's mAP, thresholds, mistakes.

    Args:
        truth: COCO instances (`images`, `annotations`, `categories`), as a file or as read from one.
        results: COCO results: `image_id`, `category_id`, `score`, and `segmentation`, `bbox` (x y w h) or both.
        score_threshold: detections below do not count for `report_mAP`; the other figures count all.
        resamples: draws of photos for the 95 % intervals; 0 leaves them out.
        seed: of these draws.

    Returns:
        The figures, fractions in 0..1. Without any detection they are 0; where the truth has nothing to judge by they
        are None, and a note says so.

    Raises:
        DataError: the truth is not COCO instances, or a result is not for it; see `validate_results`.
    """
    known = read_truth(truth)
    rows, odd = validate_results(results, known)
    metrics, matches = _coco_figures(known, rows)
    report = per_image_ap(known, rows, score_threshold) if "mask" in matches else None
    if report is not None:
        metrics = replace(metrics, report_score_threshold=score_threshold)
        metrics = replace(metrics, overall={**metrics.overall, "report_mAP": report.mean()})
    figures = ResampledMetrics(
        {kind: Resampler(list(m.values())) for kind, m in matches.items()}, report, len(known.photos)
    )
    return replace(
        metrics,
        intervals=intervals(figures, resamples=resamples, seed=seed),
        notes=(*known.notes, *odd, *metrics.notes, *_report_notes(report)),
        truth=known.fingerprint,
    )


def headline_metrics(truth: GroundTruth, rows: Sequence[Row], score_threshold: float) -> dict[str, float | None]:
    """The figures `HEADLINE_METRICS` of checked results with masks and boxes, without all that takes longer."""
    figures: dict[str, float | None] = {"report_mAP": per_image_ap(truth, rows, score_threshold).mean()}
    for kind in coco.FIELDS:
        figures |= coco.overall(kind, coco.run_evaluator(truth, rows, kind))
    return {name: figures[name] for name in HEADLINE_METRICS}


def metrics_for_resampling(truth: GroundTruth, rows: Sequence[Row], score_threshold: float) -> ResampledMetrics:
    """The headline figures of checked results for any weights of the photos; what cannot be judged is left out."""
    matches = {kind: coco.matches(truth, rows, kind) for kind in coco.FIELDS if not lacking(kind, truth, rows)}
    report = None
    if "mask" in matches:
        matches["boundary"] = boundary_matches(truth, rows)
        report = per_image_ap(truth, rows, score_threshold)
    return ResampledMetrics(
        {kind: Resampler(list(m.values())) for kind, m in matches.items()}, report, len(truth.photos)
    )


def lacking(kind: str, truth: GroundTruth, rows: Sequence[Row]) -> str:
    """A sentence on what cannot be judged for want of masks or boxes, or nothing."""
    key = coco.FIELDS[kind]
    for owner, given in (("truth", truth.annotations), ("detections", rows)):
        if any(not row.get(key) for row in given):
            return f"Some of the {owner} have no {key}, so {kind} figures are left out."
    return ""


def _coco_figures(truth: GroundTruth, rows: Sequence[Row]) -> tuple[Metrics, dict[str, dict[int, ClassMatches]]]:
    """Figures of the libraries, and the matches of each kind that could be judged."""
    overall: dict[str, float | None] = {}
    classes: dict[int, dict[str, float | None]] = {class_id: {} for class_id in truth.names}
    matches: dict[str, dict[int, ClassMatches]] = {}
    notes = [sentence for kind in coco.FIELDS if (sentence := lacking(kind, truth, rows))]
    details: dict[str, Any] = {}
    for kind in ("mask", "box", "boundary"):
        evaluator: Any = None
        if not lacking("mask" if kind == "boundary" else kind, truth, rows):
            evaluator = run_boundary(truth, rows) if kind == "boundary" else coco.run_evaluator(truth, rows, kind)
            matches[kind] = boundary_matches(truth, rows) if kind == "boundary" else coco.matches(truth, rows, kind)
            if not details:
                details = _details(truth, rows, evaluator, matches[kind])
        overall |= coco.overall(kind, evaluator)
        for position, class_id in enumerate(truth.names):
            classes[class_id] |= coco.of_class(kind, evaluator, position)
    notes += [
        f"The truth has no {name}, so nothing is said about it."
        for c, name in truth.names.items()
        if not truth.objects[c]
    ]
    metrics = Metrics(
        overall=overall,
        classes={name: ClassMetrics(truth.objects[c], classes[c]) for c, name in truth.names.items()},
        photos=len(truth.images),
        detections=len(rows),
        notes=tuple(notes),
        **details,
    )
    return metrics, matches


def _details(
    truth: GroundTruth, rows: Sequence[Row], evaluator: Any, matches: Mapping[int, ClassMatches]
) -> dict[str, Any]:
    """What helps to decide, of masks or of boxes where there are no masks."""
    found = {name: best_threshold([matches[c]]) for c, name in truth.names.items()}
    curves = {name: coco.curve(evaluator, position) for position, name in enumerate(truth.names.values())}
    best = best_threshold(matches.values())
    return {
        "curves": {name: curve for name, curve in curves.items() if curve is not None},
        "thresholds": {name: threshold for name, threshold in found.items() if threshold is not None},
        "threshold": best,
        "confusion": coco.confusion(evaluator, _score(best)),
        "errors": coco.tide_errors(evaluator) if truth.objects else {},
        "false_positives_on_empty": _false_positives_on_empty(truth, rows, _score(best)),
    }


def _score(threshold: Threshold | None) -> float:
    return threshold.score if threshold is not None else 0.5


def _false_positives_on_empty(
    truth: GroundTruth, rows: Sequence[Row], threshold: float
) -> FalsePositivesOnEmpty | None:
    empty = set(truth.photos) - {row["image_id"] for row in truth.annotations}
    if not empty:
        return None
    alarms = [row["image_id"] for row in rows if row["image_id"] in empty and row["score"] >= threshold]
    return FalsePositivesOnEmpty(len(empty), len(set(alarms)), len(alarms), threshold)


def _report_notes(report: PerImageAP | None) -> list[str]:
    if report is None or not (left := int(np.isnan(report.values).sum())):
        return []
    return [f"{left} photos have no object; report_mAP is the mean over the other {report.judged}."]
