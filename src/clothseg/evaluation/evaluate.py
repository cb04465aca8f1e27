"""Evaluates a network with `detect`, or COCO results of any detector."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clothseg.config import HEADLINE_METRICS
from clothseg.counting import counted, first_names
from clothseg.errors import DataError, PhotoError, UnreadPhotosError
from clothseg.evaluation import coco
from clothseg.evaluation.boundary import boundary_matches, run_boundary
from clothseg.evaluation.columns import all_have, photos_and_scores
from clothseg.evaluation.intervals import ResampledMetrics, Resampler, intervals
from clothseg.evaluation.matches import ClassMatches
from clothseg.evaluation.metrics import Metrics
from clothseg.evaluation.reliability import Judged, reliability
from clothseg.evaluation.report_map import PerImageAP, per_image_ap
from clothseg.evaluation.thresholds import best_threshold
from clothseg.evaluation.truth import GroundTruth, read_truth, truth_of
from clothseg.evaluation.validate_results import validate_results
from clothseg.evaluation.values import ClassMetrics, FalsePositivesOnEmpty, Threshold
from clothseg.instances import CocoResult
from clothseg.optional import is_installed

if TYPE_CHECKING:
    from clothseg.dataset import CocoLikeDataset
    from clothseg.evaluation.results import Detector

SCORE_THRESHOLD = 0.05
"""The default of `report_mAP`: the default of `inference.score_threshold`."""
NO_BOUNDARY = "vernier is not installed, so boundary AP is left out (pip install vernier)."
_KINDS = (*coco.FIELDS, "boundary")


def evaluate_network(
    detector: "Detector",
    dataset: "CocoLikeDataset",
    *,
    score_threshold: float = SCORE_THRESHOLD,
    resamples: int = 500,
    unread: list[str] | None = None,
) -> Metrics:
    """Evaluates anything with `detect` on a prepared dataset that was loaded from a file; see `evaluate_coco`.

    Its classes are its own `classes`, if it names them, or else the dataset's. `unread` is as in `with_unread`.

    Raises:
        DataError: the dataset was not loaded from an annotations file, or the file is not valid.
        PhotoError: see `with_unread`.
    """
    from clothseg.evaluation.results import detections  # noqa: PLC0415 - torch; a results file needs none

    if dataset.source is None:
        raise DataError("an evaluation needs a dataset that was loaded from a file; call load_data() first")
    messages: list[str] = []
    rows = [row for of_photo in detections(detector, dataset, unread=messages) for row in of_photo]
    metrics = evaluate_coco(truth_of(dataset), rows, score_threshold=score_threshold, resamples=resamples)
    return with_unread(metrics, messages, unread)


def with_unread(metrics: Metrics, messages: Sequence[str], unread: list[str] | None) -> Metrics:
    """The metrics with a note about the photos that could not be read, whose objects count as missed.

    Args:
        metrics: of all photos.
        messages: one for each photo that cannot be read.
        unread: receives these messages, if it is given.

    Raises:
        PhotoError: none of the photos can be read.
        UnreadPhotosError: some cannot be read, and `unread` is not given; its `results` are the metrics.
    """
    if not messages:
        return metrics
    if len(messages) == metrics.photos:
        raise PhotoError(f"none of the {metrics.photos} photos can be read; the first: {messages[0]}")
    note = f"{counted(len(messages), 'photo')} cannot be read; objects there count as missed."
    metrics = replace(metrics, notes=(*metrics.notes, note))
    if unread is None:
        raise UnreadPhotosError(messages, metrics.photos, metrics)
    unread += messages
    return metrics


def evaluate_coco(
    truth: Path | Mapping[str, Any] | GroundTruth,
    results: Sequence[Any],
    *,
    score_threshold: float = SCORE_THRESHOLD,
    resamples: int = 500,
    seed: int = 0,
) -> Metrics:
    """All metrics of COCO results: COCO's for masks and boxes, boundary AP, the report's mAP, thresholds, errors.

    Args:
        truth: COCO instances (`images`, `annotations`, `categories`), as a file, as parsed JSON, or read already.
        results: COCO results as parsed JSON: `image_id`, `category_id`, `score`, and `segmentation`, `bbox`
            (x y width height in pixels) or both.
        score_threshold: detections with a lower score do not count for `report_mAP`; other metrics count all.
        resamples: number of bootstrap samples for the 95 % intervals; 0 leaves the intervals out.
        seed: of these samples.

    Returns:
        The metrics, fractions in 0..1. Without detections they are 0. If the ground truth has nothing to measure with,
        they are None and a note explains it.

    Raises:
        DataError: the ground truth is not COCO instances, or a result does not fit it; see `validate_results`.
    """
    known = truth if isinstance(truth, GroundTruth) else read_truth(truth)
    rows, remarks = validate_results(results, known)
    metrics, resampled = evaluate_for_resampling(known, rows, score_threshold)
    return replace(
        metrics,
        intervals=intervals(resampled, resamples=resamples, seed=seed),
        notes=(*known.notes, *remarks, *metrics.notes),
        truth=known.fingerprint,
    )


def evaluate_for_resampling(
    truth: GroundTruth, rows: Sequence[CocoResult], score_threshold: float
) -> tuple[Metrics, ResampledMetrics]:
    """All metrics of checked results without intervals, and the headline metrics for any weights of the photos."""
    metrics, matches = _coco_metrics(truth, rows)
    report = per_image_ap(truth, rows, score_threshold) if "mask" in matches else None
    if report is not None:
        metrics = replace(metrics, report_score_threshold=score_threshold)
        metrics = replace(metrics, overall={**metrics.overall, "report_mAP": report.mean()})
    metrics = replace(metrics, notes=(*metrics.notes, *_report_notes(report)))
    resamplers = {kind: Resampler(list(m.values())) for kind, m in matches.items()}
    return metrics, ResampledMetrics(resamplers, report, len(truth.photos))


def headline_metrics(truth: GroundTruth, rows: Sequence[CocoResult], score_threshold: float) -> dict[str, float | None]:
    """The metrics `HEADLINE_METRICS` of checked results with masks and boxes, without the slower ones."""
    values: dict[str, float | None] = {"report_mAP": per_image_ap(truth, rows, score_threshold).mean()}
    for kind in coco.FIELDS:
        values |= coco.overall(kind, coco.run_evaluator(truth, rows, kind))
    return {name: values[name] for name in HEADLINE_METRICS}


def metrics_for_resampling(truth: GroundTruth, rows: Sequence[CocoResult], score_threshold: float) -> ResampledMetrics:
    """The headline metrics of checked results for any weights of the photos; kinds without data are left out."""
    matches = {
        kind: boundary_matches(truth, rows) if kind == "boundary" else coco.matches(truth, rows, kind)
        for kind in _KINDS
        if not missing_note(kind, truth, rows)
    }
    report = per_image_ap(truth, rows, score_threshold) if "mask" in matches else None
    return ResampledMetrics(
        {kind: Resampler(list(m.values())) for kind, m in matches.items()}, report, len(truth.photos)
    )


def missing_note(kind: str, truth: GroundTruth, rows: Sequence[CocoResult]) -> str:
    """A sentence if metrics of `kind` (mask, box, boundary) cannot be computed; otherwise empty.

    Masks or boxes are missing, or the library for boundaries.
    """
    if kind == "boundary":
        return missing_note("mask", truth, rows) or ("" if is_installed("vernier") else NO_BOUNDARY)
    key = coco.FIELDS[kind]
    if kind == "mask" and not truth.has_masks:
        return f"No object of the ground truth has a {key}, so {kind} metrics are left out."
    if kind == "box" and any(not annotation.get(key) for annotation in truth.annotations):
        return f"Some objects of the ground truth have no {key}, so {kind} metrics are left out."
    if not all_have(rows, key):
        return f"Some detections have no {key}, so {kind} metrics are left out."
    return ""


def _coco_metrics(truth: GroundTruth, rows: Sequence[CocoResult]) -> tuple[Metrics, dict[str, dict[int, ClassMatches]]]:
    """The libraries' metrics, and the matches of each kind that has data."""
    overall: dict[str, float | None] = {}
    classes: dict[int, dict[str, float | None]] = {class_id: {} for class_id in truth.names}
    matches: dict[str, dict[int, ClassMatches]] = {}
    missing = {kind: missing_note(kind, truth, rows) for kind in _KINDS}
    notes = list(dict.fromkeys(filter(None, missing.values())))
    details: dict[str, Any] = {}
    for kind in _KINDS:
        evaluator: Any = None
        if not missing[kind]:
            evaluator = run_boundary(truth, rows) if kind == "boundary" else coco.run_evaluator(truth, rows, kind)
            matches[kind] = boundary_matches(truth, rows) if kind == "boundary" else coco.matches(truth, rows, kind)
            if not details:
                details = _details(truth, rows, evaluator, matches[kind])
        overall |= coco.overall(kind, evaluator)
        for position, class_id in enumerate(truth.names):
            classes[class_id] |= coco.of_class(kind, evaluator, position)
    notes += _without_objects([name for c, name in truth.names.items() if not truth.objects[c]])
    if truth.box_only and truth.has_masks:
        notes.append(
            f"{truth.box_only} of {truth.objects.total()} objects of the ground truth have a box and no mask. They are "
            "judged for boxes only; mask metrics ignore them, and detections of their class in their boxes."
        )
    metrics = Metrics(
        overall=overall,
        classes={name: ClassMetrics(truth.objects[c], classes[c]) for c, name in truth.names.items()},
        photos=len(truth.images),
        detections=len(rows),
        box_only=truth.box_only,
        notes=tuple(notes),
        **details,
    )
    return metrics, matches


def _without_objects(names: Sequence[str]) -> list[str]:
    """A sentence on the classes that have no metrics; of many classes it names the first ones."""
    if not names:
        return []
    if len(names) == 1:
        return [f"The ground truth has no object of {names[0]}, so this class has no metrics."]
    return [f"The ground truth has no object of {len(names)} classes, so they have no metrics: {first_names(names)}."]


def _details(
    truth: GroundTruth, rows: Sequence[CocoResult], evaluator: Any, matches: Mapping[int, ClassMatches]
) -> dict[str, Any]:
    """The fields of `Metrics` from `curves` on."""
    found = {name: best_threshold([matches[c]]) for c, name in truth.names.items()}
    curves = {name: coco.curve(evaluator, position) for position, name in enumerate(truth.names.values())}
    best, judged = best_threshold(matches.values()), Judged.of(matches)
    return {
        "curves": {name: curve for name, curve in curves.items() if curve is not None},
        "thresholds": {name: threshold for name, threshold in found.items() if threshold is not None},
        "threshold": best,
        "confusion": coco.confusion(evaluator, _score(best)),
        "errors": coco.tide_errors(evaluator) if truth.objects else {},
        "reliability": reliability(judged.scores, judged.right),
        "false_positives_on_empty": _false_positives_on_empty(truth, rows, _score(best)),
    }


def _score(threshold: Threshold | None) -> float:
    return threshold.score if threshold is not None else 0.5


def _false_positives_on_empty(
    truth: GroundTruth, rows: Sequence[CocoResult], threshold: float
) -> FalsePositivesOnEmpty | None:
    empty = set(truth.photos) - {row["image_id"] for row in truth.annotations}
    if not empty:
        return None
    photos = [photo for photo, score in photos_and_scores(rows) if photo in empty and score >= threshold]
    return FalsePositivesOnEmpty(len(empty), len(set(photos)), len(photos), threshold)


def _report_notes(report: PerImageAP | None) -> list[str]:
    if report is None or not (empty := int(np.isnan(report.values).sum())):
        return []
    return [f"Photos without an object: {empty}; report_mAP is the mean over the other {report.photos_with_objects}."]
