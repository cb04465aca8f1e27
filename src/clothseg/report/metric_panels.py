"""What helps to decide, as values for the page: precision-recall curves, thresholds, mistakes, confusion."""

from collections.abc import Mapping
from dataclasses import dataclass

from clothseg.evaluation import Metrics
from clothseg.evaluation.values import Confusion, Threshold
from clothseg.report.examples import ErrorExample

_WIDTH, _HEIGHT = 200.0, 130.0  # of a curve's plot, in units of its SVG
_MOST_CLASSES = 20
_MISTAKES = {
    "missed": "an object is not found at all",
    "location": "found, but the outline overlaps the true one by less than half",
    "class": "the outline is right, the class is wrong",
    "both": "wrong class, and the outline is off as well",
    "duplicate": "an object is found a second time",
    "background": "something is found where nothing is",
}


@dataclass(frozen=True)
class CurvePlot:
    """A class's precision over recall: `line` and `area` are SVG points, `dot` is where its best threshold lies."""

    name: str
    line: str
    area: str
    dot: tuple[float, float] | None
    threshold: Threshold | None


@dataclass(frozen=True)
class ErrorPanel:
    """A kind of mistake, what it means, how often it happened, what it costs in AP50 and as a share of the dearest.

    `sure` of them have a score from the threshold on; `examples` are some of these.
    """

    name: str
    meaning: str
    count: int
    cost: float
    share: float
    sure: int
    examples: list[ErrorExample]


@dataclass(frozen=True)
class Cell:
    """A number of the confusion matrix, its share of its row in 0..1, and whether it is right."""

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


def mistakes(metrics: Metrics, examples: Mapping[str, tuple[int, list[ErrorExample]]]) -> list[ErrorPanel]:
    """The kinds, the dearest first."""
    dearest = max((kind.cost for kind in metrics.errors.values()), default=0.0)
    rows = [
        ErrorPanel(
            name,
            _MISTAKES.get(name, ""),
            kind.count,
            kind.cost,
            max(kind.cost, 0.0) / dearest if dearest > 0 else 0,
            *examples.get(name, (0, [])),
        )
        for name, kind in metrics.errors.items()
    ]
    return sorted(rows, key=lambda row: -row.cost)


def confusion_rows(confusion: Confusion | None) -> list[tuple[str, list[Cell | None]]]:
    """Name and cells of each row; None where nothing can stand. Empty without a matrix, or with too many classes."""
    if confusion is None or len(confusion.classes) > _MOST_CLASSES:
        return []
    names = [*confusion.classes, "nothing there"]
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
