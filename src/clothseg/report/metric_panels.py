"""Prepares precision-recall curves, errors and the confusion matrix for the page."""

from collections.abc import Mapping
from dataclasses import dataclass

from clothseg.evaluation import Metrics
from clothseg.evaluation.tables import NOTHING
from clothseg.evaluation.values import Confusion, Threshold
from clothseg.report.examples import ErrorExamples

_WIDTH, _HEIGHT = 200.0, 130.0  # of a curve's plot, in units of its SVG
_MAX_CLASSES = 20
_MEANINGS = {
    "missed": "an object is not found",
    "location": "right class, but the outline overlaps the true one by less than half",
    "class": "the outline is right, the class is wrong",
    "both": "wrong class, and the outline overlaps by less than half",
    "duplicate": "an object is found a second time",
    "background": "a detection where there is no object",
}


@dataclass(frozen=True)
class CurvePlot:
    """The precision-recall curve of a class: `line` and `area` are SVG points, `dot` is at its best threshold."""

    name: str
    line: str
    area: str
    dot: tuple[float, float] | None
    threshold: Threshold | None


@dataclass(frozen=True)
class ErrorPanel:
    """One kind of error.

    Attributes:
        name: of the kind.
        meaning: of the kind, in a few words.
        count: number of errors.
        cost: gain in AP50 (0..1) if only this kind were corrected.
        share: the cost as a fraction of the highest cost of a kind.
        examples: some of the errors above the score threshold, with the number of these errors.
    """

    name: str
    meaning: str
    count: int
    cost: float
    share: float
    examples: ErrorExamples


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix: a count, its share of the row in 0..1, and whether it is on the diagonal."""

    count: int
    share: float
    right: bool


def curve_plots(metrics: Metrics) -> list[CurvePlot]:
    """A plot for each class with objects."""
    plots = []
    for name, curve in metrics.curves.items():
        points = [
            (_WIDTH * step / (len(curve.precision) - 1), _HEIGHT * (1 - value))
            for step, value in enumerate(curve.precision)
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        best = metrics.thresholds.get(name)
        dot = (round(_WIDTH * best.recall, 1), round(_HEIGHT * (1 - best.precision), 1)) if best else None
        area = f"0,{_HEIGHT:.0f} {line} {_WIDTH:.0f},{_HEIGHT:.0f}"
        plots.append(CurvePlot(name, line, area, dot, best))
    return plots


def error_panels(metrics: Metrics, examples: Mapping[str, ErrorExamples]) -> list[ErrorPanel]:
    """A panel for each kind of error, the highest cost first."""
    highest = max((kind.cost for kind in metrics.errors.values()), default=0.0)
    panels = [
        ErrorPanel(
            name,
            _MEANINGS.get(name, ""),
            kind.count,
            kind.cost,
            max(kind.cost, 0.0) / highest if highest > 0 else 0,
            examples.get(name, ErrorExamples(0, [])),
        )
        for name, kind in metrics.errors.items()
    ]
    return sorted(panels, key=lambda panel: -panel.cost)


def confusion_rows(confusion: Confusion | None) -> list[tuple[str, list[Cell | None]]]:
    """Name and cells of each row; None for the corner of nothing and nothing, which has no count.

    Empty if there is no matrix, or if it has too many classes for the page.
    """
    if confusion is None or len(confusion.classes) > _MAX_CLASSES:
        return []
    names = [*confusion.classes, NOTHING]
    rows = []
    for position, (name, counts) in enumerate(zip(names, confusion.counts, strict=True)):
        total = sum(counts)
        cells = [
            None
            if position == column == len(confusion.classes)
            else Cell(count, count / total if total else 0.0, position == column)
            for column, count in enumerate(counts)
        ]
        rows.append((name, cells))
    return rows
