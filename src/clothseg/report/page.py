"""The page put together: values for the template, and the file written whole."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clothseg.evaluation import Metrics
from clothseg.evaluation.tables import percent
from clothseg.files import atomic_write
from clothseg.pictures import class_colour
from clothseg.pictures.html import render_page
from clothseg.report import metric_panels as judgement
from clothseg.report import text as words
from clothseg.report.examples import ErrorExample, mistake_examples
from clothseg.report.figures import Pair, curve_figures, prediction_pairs
from clothseg.report.inputs import training_photos, transform_of
from clothseg.report.reading import RunFiles, Truth, read_run
from clothseg.runs import RunFolder

FIGURES = ("AP", "AP50", "AP75")
_LONGEST_TEXT = 20_000


def write_report(run: Path, data: Path, *, threshold: float = 0.5) -> Path:
    """Write `report.html` into a run folder, from the files that are there.

    Args:
        run: the folder with `run.json`, `config.yaml`, `history.csv`, `metrics.json`, `metrics-initial.json` and
            `predictions.json`. For what is missing the page says which command makes it.
        data: the COCO data set, with `images/`, `annotations/{train,val}.json` and `dataset.yaml`.
        threshold: detections with at least this score are drawn. Figures are made from all of them.

    Returns:
        The path of the page: one file without scripts or links to other places.

    Raises:
        RunError: `run` is no folder, or a file in it is broken.
        DataError: a file of the data set is broken.
    """
    files = read_run(run, data)
    filters = {"percent": percent, "duration": words.duration}
    page = render_page("report", "page.html.jinja", _values(files, threshold), filters)
    path = RunFolder(run).report
    atomic_write(path, page)
    return path


def _values(files: RunFiles, threshold: float) -> dict[str, Any]:
    names = files.names
    colours = {name: "#{:02x}{:02x}{:02x}".format(*class_colour(i)) for name, i in _ids(files).items()}
    pairs: list[Pair] = []
    unread: list[str] = []
    if files.val is not None and files.predictions is not None:
        pairs, unread = prediction_pairs(files.val, files.predictions, files.data / "images", threshold=threshold)
    examples, unread_there = _examples(files, threshold)
    train = files.train or Truth([], [], {})
    grid = transform_of(RunFolder(files.run).config)
    samples, resized, unread_too = training_photos(train, files.data / "images", grid)
    timings, whole = _timings(files.facts)
    return {
        "title": files.run.resolve().name,
        "names": names,
        "subject": words.listed(names) or "garments",
        "colours": colours,
        "missing": words.missing_parts(files),
        "metrics": files.metrics,
        "initial": files.initial,
        "headline": _headline(files.metrics, files.initial),
        "meaning": words.meaning(files.metrics) if files.metrics else "",
        "caution": words.caution(files),
        "weakest": words.weakest_class(files.metrics) if files.metrics else "",
        "figures": [f"{kind}_{figure}" for kind in ("mask", "box") for figure in FIGURES],
        "precision_curves": judgement.curve_plots(files.metrics) if files.metrics else [],
        "mistakes": judgement.mistakes(files.metrics, examples) if files.metrics else [],
        "confusion": judgement.confusion_rows(files.metrics.confusion) if files.metrics else [],
        "curves": curve_figures(files.history) if files.history else [],
        "epochs": len(files.history),
        "pairs": pairs,
        "photos_judged": len(files.val.images) if files.val else 0,
        "threshold": threshold,
        "samples": samples,
        "resized": resized,
        "unread": sorted({*unread, *unread_there, *unread_too}),
        "sure": _sure(files, threshold),
        "anchors": words.anchors(files.facts.get("anchors")),
        "counts": _counts(files),
        "facts": files.facts,
        "timings": timings,
        "whole": whole,
        "config": files.config,
        "description": (files.description or "")[:_LONGEST_TEXT],
    }


def _sure(files: RunFiles, threshold: float) -> float:
    """The score from which on mistakes are shown: the best common threshold, or the one given."""
    best = files.metrics.threshold if files.metrics else None
    return best.score if best is not None else threshold


def _examples(files: RunFiles, threshold: float) -> tuple[Mapping[str, tuple[int, list[ErrorExample]]], list[str]]:
    if files.val is None or files.predictions is None or not files.metrics or not files.metrics.overall.get("mask_AP"):
        return {}, []
    return mistake_examples(files.val, files.predictions, files.data / "images", threshold=_sure(files, threshold))


def _ids(files: RunFiles) -> dict[str, int]:
    known = files.val or files.train
    if known is not None:
        return {name: class_id for class_id, name in known.names.items()}
    return {name: class_id for class_id, name in enumerate(files.names, 1)}


def _headline(metrics: Metrics | None, initial: Metrics | None) -> dict[str, Any] | None:
    """The figure on top with its interval, and that of the untrained network; None without any."""
    if metrics is None or metrics.overall.get(key := words.headline_key(metrics)) is None:
        return None
    return {
        "name": key.replace("_", " "),
        "value": metrics.overall[key],
        "interval": metrics.intervals.get(key),
        "before": initial.overall.get(key) if initial else None,
    }


def _counts(files: RunFiles) -> list[dict[str, Any]]:
    """A row a split: photos, photos without objects, crowds, and by class name the objects and photos with them."""
    splits: list[tuple[str, Truth | None]] = [("train", files.train), ("val", files.val)]
    return [{"split": name} | _count(truth) for name, truth in splits if truth is not None]


def _count(truth: Truth) -> dict[str, Any]:
    plain = [annotation for annotation in truth.annotations if not annotation.get("iscrowd")]
    objects = Counter(annotation["category_id"] for annotation in plain)
    photos = Counter(class_id for class_id, _ in {(a["category_id"], a["image_id"]) for a in plain})
    return {
        "photos": len(truth.images),
        "empty": sum(not rows for rows in truth.by_photo.values()),
        "crowds": len(truth.annotations) - len(plain),
        "objects": len(plain),
        "classes": {name: (objects[class_id], photos[class_id]) for class_id, name in truth.names.items()},
    }


def _timings(facts: Mapping[str, Any]) -> tuple[list[tuple[str, float, float]], float]:
    """Name, seconds and share of the longest for each part, and the seconds of the whole."""
    timings = {str(name): float(value) for name, value in (facts.get("timings") or {}).items() if value is not None}
    known = timings.pop("all together", 0.0)  # of the demo, which also starts programs
    whole = max(known, sum(timings.values()))
    longest = max(timings.values(), default=0.0) or 1.0
    return [(name, seconds, seconds / longest) for name, seconds in timings.items()], whole
