"""Explains metrics in sentences, for people who do not work with them every day."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from clothseg.counting import counted
from clothseg.errors import shell_command
from clothseg.evaluation import Metrics
from clothseg.evaluation.tables import percent
from clothseg.report.reading import RunFiles

_LONG_TRAINING = 3600.0
_MANY_PHOTOS = 500
_MOST_IN_HEADING = 12


def subject(names: Sequence[str]) -> str:
    """What a network finds, for a heading: the classes if they are few."""
    return (listed(names) or "garments") if len(names) <= _MOST_IN_HEADING else f"{len(names)} kinds of objects"


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def duration(seconds: float) -> str:
    """`8.2 s`, `3 min 51 s`, `2 h 05 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def headline_key(metrics: Metrics) -> str:
    """The name of the metric at the top of the page: of masks, or of boxes if there are no masks."""
    return "mask_AP50" if metrics.overall.get("mask_AP50") is not None else "box_AP50"


def meaning(metrics: Metrics) -> str:
    """What AP50 measures, and how certain it is."""
    key = headline_key(metrics)
    shape = "mask" if key == "mask_AP50" else "box"
    sentence = (
        f"100 would mean: every object is found with the right class and with a {shape} that overlaps the true one by "
        "at least half (IoU 0.5), and no false positive has a higher score."
    )
    interval = metrics.intervals.get(key)
    if interval is None:
        return sentence
    return (
        f"{sentence} With other photos of the same kind, the value would probably be between "
        f"{100 * interval.low:.0f} and {100 * interval.high:.0f}."
    )


def caution(files: RunFiles) -> str:
    """A warning if training was short or photos are few; otherwise empty."""
    photos = files.facts.get("photos") or {}
    evaluated = photos.get("val") or (files.metrics.photos if files.metrics else None)
    trained = photos.get("train")
    seconds = (files.facts.get("timings") or {}).get("train")
    short = seconds is not None and seconds < _LONG_TRAINING
    few = evaluated is not None and evaluated < _MANY_PHOTOS
    if not (short or few):
        return ""
    parts = []
    if seconds is not None:
        parts.append(f"trained for {duration(seconds)}" + (f" on {counted(trained, 'photo')}" if trained else ""))
    elif trained:
        parts.append(f"trained on {counted(trained, 'photo')}")
    if evaluated is not None:
        parts.append("evaluated on " + (f"{evaluated}" if trained else counted(evaluated, "photo")))
    sentence = f"This network was {listed(parts)}: a demonstration, not a measure of what such networks can do."
    interval = files.metrics.intervals.get(headline_key(files.metrics)) if files.metrics else None
    if interval is None or interval.high <= interval.low:
        return sentence
    noise = math.ceil(50 * (interval.high - interval.low))
    return f"{sentence} Differences of less than about {counted(noise, 'point')} can be chance."


def weakest_class(metrics: Metrics) -> str:
    """A sentence on the class with the lowest AP50; empty if there are not two values to compare."""
    key = headline_key(metrics)
    values = {name: value for name, part in metrics.classes.items() if (value := part.values.get(key)) is not None}
    if len(values) < 2 or len(set(values.values())) == 1:
        return ""
    name = min(values, key=lambda n: values[n])
    return (
        f"Weakest class: {name} (AP50 {percent(values[name])} on {counted(metrics.classes[name].instances, 'object')})."
    )


def nothing_found(files: RunFiles, threshold: float) -> list[str]:
    """Sentences for a network that found nothing, or nothing that counts; none if it found something. `x` is code."""
    metrics, rows = files.metrics, files.predictions
    if metrics is None or rows is None or not metrics.photos:
        return []
    photos = f"the {counted(metrics.photos, 'validation photo')}"
    advice = (
        "Was it trained long enough (do the loss curves still fall)? `clothseg fit --overfit-one-image` tests in a "
        "minute whether it can learn at all, and `clothseg dataset check` whether the annotations are right."
    )
    if not rows:
        return [f"The network found nothing on {photos}: there is not one detection. {advice}"]
    best = max(float(row["score"]) for row in rows)
    if best < threshold:
        return [
            f"No detection on {photos} has a score of {threshold:g} or more; the highest is {best:.2f}. So the "
            f"pictures show none, although the metrics count all {len(rows)}. {advice}"
        ]
    if not metrics.overall.get(headline_key(metrics)):
        return [f"None of the {len(rows)} detections on {photos} is right (at IoU 0.5). {advice}"]
    return []


def missing_parts(files: RunFiles) -> list[tuple[str, str]]:
    """For each missing part, a sentence and the command that makes it."""
    fit = shell_command(["clothseg", "fit", files.data, "--out", files.run])
    evaluate = shell_command(["clothseg", "evaluate", files.run, files.data])
    build = shell_command(["clothseg", "dataset", "build", "SOURCE", "--out", files.data])
    parts = []
    if files.metrics is None:
        parts.append(("The network was not evaluated yet (no metrics.json).", evaluate))
    if files.predictions is None:
        parts.append(("There are no detections on the validation photos yet (no predictions.json).", evaluate))
    if not files.history:
        parts.append(("Training has not finished an epoch yet (no rows in history.csv).", fit))
    if files.config is None:
        parts.append(("The run has no configuration (no config.yaml).", fit))
    if files.val is None or files.train is None:
        lacking = listed([name for name in ("train", "val") if getattr(files, name) is None])
        parts.append((f"The dataset {files.data} has no annotations for {lacking}.", build))
    return parts


def anchors(facts: Any) -> list[str]:
    """Sentences on how well the anchors cover the training boxes; none if `run.json` says nothing about it.

    Args:
        facts: `anchors` of `run.json`, as `AnchorCoverage.facts` writes it: `boxes`, `recall` by IoU (`"0.5"`,
            `"0.7"`), and `suggested_scales` with `suggested_recall`, or None. A network without anchors has no facts.
    """
    if not isinstance(facts, Mapping) or not facts.get("boxes") or not isinstance(facts.get("recall"), Mapping):
        return []
    sentences = [f"The anchors cover {_recall(facts['recall'])} of the {facts['boxes']} training boxes."]
    if facts.get("suggested_scales") and isinstance(facts.get("suggested_recall"), Mapping):
        sentences.append(
            f"Other scales cover more, {_recall(facts['suggested_recall'])}: network.anchors.scales = "
            f"{facts['suggested_scales']}."
        )
    return sentences


def _recall(recall: Mapping[str, float]) -> str:
    """`97.3 % (IoU 0.5) and 61.0 % (IoU 0.7)`."""
    return listed([f"{percent(share)} % (IoU {iou})" for iou, share in recall.items()])
