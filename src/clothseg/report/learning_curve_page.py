"""The page and the picture of a learning curve."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from clothseg.evaluation.power_law import PowerLaw
from clothseg.evaluation.tables import percent
from clothseg.files import atomic_write
from clothseg.pictures.html import render_page
from clothseg.pictures.learning_curve import Bar, learning_curve_plot
from clothseg.report.figures import data_uri

_NARROW = (3.7, 3.0)  # inches of the picture for telephones


def write_learning_curve_page(metric: str, curve: Mapping[str, Any], sentence: str, out: Path) -> None:
    """Writes `learning-curve.png` and `learning-curve.html` into a folder.

    Args:
        metric: the name of the metric.
        curve: the fields of `LearningCurve`, as in `learning-curve.json`.
        sentence: what the curve says.
        out: the folder.
    """
    points, more = curve["points"], curve["extrapolation"]
    photos = [point["photos"] for point in points]
    law = None
    if more["law"] is not None:
        steps = np.geomspace(photos[0], more["photos"], 60)
        law = (steps.tolist(), PowerLaw(**more["law"]).at(steps).tolist())
    draw = partial(
        learning_curve_plot,
        photos,
        [_bar(point) for point in points],
        metric=metric,
        law=law,
        more=None if more["value"] is None else (more["photos"], _bar(more)),
    )
    atomic_write(out / "learning-curve.png", draw())
    values = {
        "curve": curve,
        "classes": list(points[0]["objects"]),
        "sentence": sentence,
        "metric": metric.replace("_", " "),
        "picture": data_uri(draw(form="svg"), "image/svg+xml"),
        "narrow": data_uri(draw(form="svg", inches=_NARROW), "image/svg+xml"),
    }
    page = render_page("report", "learning_curve.html.jinja", values, {"percent": percent})
    atomic_write(out / "learning-curve.html", page)


def _bar(value: Mapping[str, Any]) -> Bar:
    """A value with its interval; without one, the value itself."""
    middle, interval = float(value["value"]), value["interval"]
    return (middle, middle, middle) if interval is None else (middle, float(interval["low"]), float(interval["high"]))
