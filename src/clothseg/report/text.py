"""What the figures mean, in sentences for a person who does not work with them every day."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from clothseg.evaluation import Metrics
from clothseg.evaluation.tables import percent
from clothseg.report.reading import RunFiles

_LONG_TRAINING = 3600.0
_MANY_PHOTOS = 500


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
    """The figure that stands on top: that of masks, or that of boxes where there are no masks."""
    return "mask_AP50" if metrics.overall.get("mask_AP50") is not None else "box_AP50"


def meaning(metrics: Metrics) -> str:
    """What AP50 measures, and how sure it is."""
    key = headline_key(metrics)
    shape = "mask" if key == "mask_AP50" else "box"
    sentence = (
        f"A score of 100 would mean that every object is found under its right name, with a {shape} that overlaps the "
        "true one by at least half, and that no false alarm comes before them."
    )
    interval = metrics.intervals.get(key)
    if interval is None:
        return sentence
    return (
        f"{sentence} With other photos of the same kind it would likely lie between {100 * interval.low:.0f} and "
        f"{100 * interval.high:.0f}."
    )


def caution(files: RunFiles) -> str:
    """How far the figures carry, where training was short or photos are few; empty otherwise."""
    photos = files.facts.get("photos") or {}
    judged = photos.get("val") or (files.metrics.photos if files.metrics else None)
    trained = photos.get("train")
    seconds = (files.facts.get("timings") or {}).get("train")
    short = seconds is not None and seconds < _LONG_TRAINING
    few = judged is not None and judged < _MANY_PHOTOS
    if not (short or few):
        return ""
    parts = []
    if seconds is not None:
        parts.append(f"trained for {duration(seconds)}" + (f" on {trained} photos" if trained else ""))
    elif trained:
        parts.append(f"trained on {trained} photos")
    if judged is not None:
        parts.append(f"judged on {judged}" + ("" if trained else " photos"))
    sentence = f"This network was {listed(parts)}: a demonstration, not a measure of what such networks can do."
    interval = files.metrics.intervals.get(headline_key(files.metrics)) if files.metrics else None
    if interval is None or interval.high <= interval.low:
        return sentence
    noise = math.ceil(50 * (interval.high - interval.low))
    return f"{sentence} Differences under about {noise} points can be the chance of which photos it was judged on."


def weakest_class(metrics: Metrics) -> str:
    """The class with the lowest AP50 by name; empty where there are not two to compare."""
    key = headline_key(metrics)
    values = {name: value for name, part in metrics.classes.items() if (value := part.figures.get(key)) is not None}
    if len(values) < 2 or len(set(values.values())) == 1:
        return ""
    name = min(values, key=lambda n: values[n])
    sentence = f"Weakest class: {name} (AP50 {percent(values[name])} on {metrics.classes[name].instances} objects)"
    if name == "Suit":
        # What the people who labelled the demo's photos called a suit, and what the network takes for one.
        return f"{sentence}, in these photos often the jacket alone, beside look-alike jackets of other classes."
    return f"{sentence}."


def missing_parts(files: RunFiles) -> list[tuple[str, str]]:
    """What is not there yet, as a sentence and the command that makes it."""
    fit = f"clothseg fit {files.data} --out {files.run}"
    evaluate = f"clothseg evaluate {files.run} {files.data}"
    build = f"clothseg dataset build SOURCE --out {files.data}"
    parts = []
    if files.metrics is None:
        parts.append(("The network has not been judged yet (no metrics.json).", evaluate))
    if files.predictions is None:
        parts.append(("There are no detections on the validation photos yet (no predictions.json).", evaluate))
    if not files.history:
        parts.append(("Training has not finished an epoch yet (history.csv has no rows).", fit))
    if files.config is None:
        parts.append(("The run has no configuration (no config.yaml).", fit))
    if files.val is None or files.train is None:
        lacking = listed([name for name in ("train", "val") if getattr(files, name) is None])
        parts.append((f"The data set has no annotations for {lacking} in {files.data}.", build))
    return parts


def anchors(known: Any) -> list[str]:
    """What `run.json` says of the anchors against the training boxes, in sentences; none where it says nothing.

    Args:
        known: `reach` has the share of boxes by IoU (`"0.5"`, `"0.7"`), `suggested_scales` what would reach more.
    """
    if not isinstance(known, Mapping) or not isinstance(known.get("reach"), Mapping):
        return []
    shares = [f"{percent(float(share))} % at an overlap of {iou}" for iou, share in known["reach"].items()]
    sentences = [f"Of the training boxes the anchors reach {listed(shares)}."] if shares else []
    if known.get("suggested_scales"):
        sentences.append(f"These scales would reach more: network.anchors.scales = {known['suggested_scales']}.")
    return sentences
