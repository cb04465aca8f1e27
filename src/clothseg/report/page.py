"""Fills the template of the page and writes the file."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clothseg.evaluation import Metrics
from clothseg.evaluation.tables import percent
from clothseg.evaluation.truth import GroundTruth
from clothseg.files import atomic_write
from clothseg.pictures import class_colour
from clothseg.pictures.html import render_page
from clothseg.report import metric_panels, text
from clothseg.report.examples import ErrorExamples, error_examples
from clothseg.report.figures import Pair, curve_figures, overfitting_losses, prediction_pairs
from clothseg.report.inputs import training_photos, transform_of
from clothseg.report.pseudo_masks import drawn_masks
from clothseg.report.reading import RunFiles, read_run
from clothseg.report.review import ReviewList, review_list
from clothseg.report.unlabelled import teacher_labels
from clothseg.runs import RunFolder

COLUMNS = tuple(f"{kind}_{metric}" for kind in ("mask", "box") for metric in ("AP", "AP50", "AP75"))
_MAX_TEXT = 20_000


def write_report(run: Path | str, data: Path | str, *, split: str | None = None, threshold: float = 0.5) -> Path:
    """Writes `report.html` into a run's folder, from the files that exist.

    Args:
        run: the folder with `run.json`, `config.yaml`, `history.csv`, `metrics.json`, `metrics-initial.json` and
            `predictions.json`. For a missing file, the page names the command that makes it.
        data: the COCO dataset, in any layout that `dataset.reading.find_layout` knows.
        split: that the run was evaluated on; by default the validation photos.
        threshold: detections with at least this score are drawn. The metrics count all detections.

    Returns:
        The path of the page: one file without scripts or links to other places.

    Raises:
        RunError: `run` is not a folder, or a file in it is broken.
        DataError: a file of the dataset is broken.
    """
    run, data = Path(run), Path(data)
    files = read_run(run, data, split)
    filters = {"percent": percent, "duration": text.duration}
    page = render_page("report", "page.html.jinja", _values(files, threshold), filters)
    path = RunFolder(run).report
    atomic_write(path, page)
    return path


def _values(files: RunFiles, threshold: float) -> dict[str, Any]:
    """The variables of the template."""
    names = files.names
    pairs: list[Pair] = []
    unread_val: list[str] = []
    if files.val is not None and files.predictions is not None:
        pairs, unread_val = prediction_pairs(files.val, files.predictions, files.images, threshold=threshold)
    examples, unread_examples = _examples(files, threshold)
    train = files.train or GroundTruth([], [], [])
    transform = transform_of(RunFolder(files.run).config)
    samples, resized, unread_train = training_photos(train, files.images, transform)
    timings, total_time = _timings(files.facts)
    review, unread_review = _review(files)
    return _metric_values(files, examples) | {
        "title": files.run.resolve().name,
        "names": names,
        "subject": text.subject(names),
        "colours": {name: "#{:02x}{:02x}{:02x}".format(*class_colour(i)) for name, i in _ids(files).items()},
        "missing": text.missing_parts(files),
        "caution": text.caution(files),
        "nothing_found": text.nothing_found(files, threshold),
        "overfits": (marks := overfitting_losses(files.history)),
        "curves": curve_figures(files.history, marks) if files.history else [],
        "epochs": len(files.history),
        "pairs": pairs,
        "val_photos": len(files.val.images) if files.val else 0,
        "threshold": threshold,
        "error_threshold": _error_threshold(files, threshold),
        "review": review,
        "samples": samples,
        "resized": resized,
        "unread": sorted({*unread_val, *unread_examples, *unread_train, *unread_review}),
        "anchors": text.anchors(files.facts.get("anchors")),
        "counts": _counts(files),
        "teacher": teacher_labels(files.run, files.history),
        "drawn_masks": drawn_masks(files.run),
        "facts": files.facts,
        "timings": timings,
        "total_time": total_time,
        "config": files.config,
        "description": (files.description or "")[:_MAX_TEXT],
    }


def _metric_values(files: RunFiles, examples: Mapping[str, ErrorExamples]) -> dict[str, Any]:
    """The variables that come from the metrics."""
    metrics = files.metrics
    return {
        "metrics": metrics,
        "initial": files.initial,
        "columns": COLUMNS,
        "headline": _headline(metrics, files.initial),
        "meaning": text.meaning(metrics) if metrics else "",
        "weakest": text.weakest_class(metrics) if metrics else "",
        "precision_curves": metric_panels.curve_plots(metrics) if metrics else [],
        "errors": metric_panels.error_panels(metrics, examples) if metrics else [],
        "confusion": metric_panels.confusion_rows(metrics.confusion) if metrics else [],
    }


def _error_threshold(files: RunFiles, threshold: float) -> float:
    """The lowest score of the errors that are shown: the best threshold for all classes, or else `threshold`."""
    best = files.metrics.threshold if files.metrics else None
    return best.score if best is not None else threshold


def _examples(files: RunFiles, threshold: float) -> tuple[Mapping[str, ErrorExamples], list[str]]:
    if files.val is None or files.predictions is None or not files.metrics or not files.metrics.overall.get("mask_AP"):
        return {}, []
    least = _error_threshold(files, threshold)
    return error_examples(files.val, files.predictions, files.images, threshold=least)


def _review(files: RunFiles) -> tuple[ReviewList | None, list[str]]:
    if files.val is None or files.predictions is None or not files.metrics or not files.metrics.calibration:
        return None, []
    return review_list(files.val, files.predictions, files.images)


def _ids(files: RunFiles) -> dict[str, int]:
    known = files.val or files.train
    if known is not None:
        return {name: class_id for class_id, name in known.names.items()}
    return {name: class_id for class_id, name in enumerate(files.names, 1)}


def _headline(metrics: Metrics | None, initial: Metrics | None) -> dict[str, Any] | None:
    """The metric at the top with its interval, and that of the initial weights; None if it has no value."""
    if metrics is None or metrics.overall.get(key := text.headline_key(metrics)) is None:
        return None
    return {
        "name": key.replace("_", " "),
        "value": metrics.overall[key],
        "interval": metrics.intervals.get(key),
        "before": initial.overall.get(key) if initial else None,
    }


def _counts(files: RunFiles) -> list[dict[str, Any]]:
    """For each split: photos, those without objects, crowds, boxes alone, and by class the objects and their photos."""
    splits = [("train", files.train), ("val", files.val)]
    return [{"split": name} | _count(truth) for name, truth in splits if truth is not None]


def _count(truth: GroundTruth) -> dict[str, Any]:
    objects = [annotation for annotation in truth.annotations if not annotation["iscrowd"]]
    photos = Counter(class_id for class_id, _ in {(a["category_id"], a["image_id"]) for a in objects})
    return {
        "photos": len(truth.images),
        "empty": sum(not rows for rows in truth.by_photo.values()),
        "crowds": len(truth.annotations) - len(objects),
        "objects": len(objects),
        "box_only": truth.box_only,
        "classes": {name: (truth.objects[class_id], photos[class_id]) for class_id, name in truth.names.items()},
    }


def _timings(facts: Mapping[str, Any]) -> tuple[list[tuple[str, float, float]], float]:
    """Name, seconds and share of the longest for each part, and the total seconds."""
    timings = {str(name): float(value) for name, value in (facts.get("timings") or {}).items() if value is not None}
    known = timings.pop("all together", 0.0)  # of the demo, which also starts programs
    total = max(known, sum(timings.values()))
    longest = max(timings.values(), default=0.0) or 1.0
    return [(name, seconds, seconds / longest) for name, seconds in timings.items()], total
