"""Fills the template of the page that compares networks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clothseg.evaluation.comparison.several import EvaluatedSource
from clothseg.evaluation.comparison.values import SeveralComparison
from clothseg.evaluation.tables import percent
from clothseg.evaluation.truth import GroundTruth
from clothseg.pictures import class_colour
from clothseg.pictures.html import render_page
from clothseg.report.comparison import panels
from clothseg.report.comparison.photos import PhotoRow, ShownSide, photo_rows
from clothseg.report.figures import curve_figures
from clothseg.report.text import duration, listed
from clothseg.runs import RunFolder
from clothseg.training import read_history

_MANY_SIDES = 3  # from more sides on, fewer photos of each are shown


def page_text(
    found: SeveralComparison,
    truth: GroundTruth,
    sides: Sequence[Sequence[EvaluatedSource]],
    data: Path,
    images: Path,
) -> str:
    """The HTML of the page: one file without scripts or links to other places.

    Args:
        found: the comparison.
        truth: the ground truth.
        sides: the evaluated sources of each side of it.
        data: the dataset, for its name.
        images: folder of the photos, where the ground truth does not know them.

    Raises:
        RunError: the history of a run is damaged.
    """
    rows: list[PhotoRow] = []
    unread: list[str] = []
    if panels.has_masks(found):
        shown = [
            ShownSide(side.title, of[0].rows, of[0].source.facts.score_threshold)
            for side, of in zip(found.sides, sides, strict=True)
        ]
        rows, unread = photo_rows(truth, shown, images, ends=2 if len(shown) <= _MANY_SIDES else 1)
    values = _values(found) | {
        "data": data.resolve().name,
        "names": list(truth.names.values()),
        "colours": {name: "#{:02x}{:02x}{:02x}".format(*class_colour(i)) for i, name in truth.names.items()},
        "photo_rows": rows,
        "unread": unread,
        "curves": _curves(found, sides),
        "labels_pixels": any(
            one.source.config is not None and one.source.config.network.labels_pixels for of in sides for one in of
        ),
    }
    filters = {"percent": percent, "duration": duration}
    return render_page("report", "comparison/page.html.jinja", values, filters)


def _values(found: SeveralComparison) -> dict[str, Any]:
    """The variables of the template that come from the numbers."""
    titles = [side.title for side in found.sides]
    key, name = panels.metrics_shown(found)[0]
    return {
        "found": found,
        "subject": listed(titles) if len(titles) <= 4 else f"{len(titles)} sides",
        "headline": key,
        "headline_name": name,
        "metrics": panels.metrics_shown(found),
        "metric_rows": panels.metric_rows(found),
        "pair_rows": panels.pair_rows(found),
        "class_columns": panels.class_columns(found),
        "class_rows": panels.class_rows(found),
        "background": panels.background_row(found),
        "cost_rows": panels.cost_rows(found),
        "ratios": panels.ratio_sentences(found),
        "without_network": listed(panels.without_network(found.sides)),
        "with_masks": panels.has_masks(found),
        "grouped": any(len(side.sources) > 1 for side in found.sides),
        "speed": next((side.speed for side in found.sides if side.speed is not None), None),
        "resamples": next((i.resamples for side in found.sides for i in side.intervals.values()), 0),
    }


def _curves(
    found: SeveralComparison, sides: Sequence[Sequence[EvaluatedSource]]
) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Title, path and loss curves of each run with a history; the first run of each side comes first."""
    first: list[tuple[str, str, list[tuple[str, str]]]] = []
    others: list[tuple[str, str, list[tuple[str, str]]]] = []
    for side, of in zip(found.sides, sides, strict=True):
        for number, one in enumerate(of):
            history = RunFolder(one.source.path).history
            if not one.source.path.is_dir() or not history.is_file():
                continue
            rows = read_history(history)
            (others if number else first).append((side.title, str(one.source.path), curve_figures(rows, {})))
    return [*first, *others]
