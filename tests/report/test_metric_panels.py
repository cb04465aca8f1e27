"""Curves, errors and the confusion matrix of the page, by hand."""

import pytest

from clothseg.evaluation.metrics import Metrics
from clothseg.evaluation.values import Confusion, Curve, ErrorKind, Threshold
from clothseg.report.examples import ErrorExamples
from clothseg.report.metric_panels import confusion_rows, curve_plots, error_panels


def metrics(**more: object) -> Metrics:
    return Metrics({}, {}, 1, 1, **more)  # type: ignore[arg-type]


def test_recall_is_drawn_to_the_right_and_precision_upwards() -> None:
    curve = Curve(tuple([1.0] * 51 + [0.0] * 50), tuple([0.5] * 101))
    best = Threshold(score=0.5, f1=0.6, precision=1.0, recall=0.5)
    (plot,) = curve_plots(metrics(curves={"Suit": curve}, thresholds={"Suit": best}))
    points = plot.line.split()
    assert (points[0], points[50], points[51], points[100]) == ("0.0,0.0", "100.0,0.0", "102.0,130.0", "200.0,130.0")
    assert plot.dot == (100.0, 0.0)
    (plot,) = curve_plots(metrics(curves={"Suit": curve}))
    assert plot.dot is None


def test_the_kind_with_the_highest_cost_is_first() -> None:
    rows = error_panels(
        metrics(errors={"class": ErrorKind(9, 0.01), "missed": ErrorKind(1, 0.2), "both": ErrorKind(0, 0.0)}),
        {"class": ErrorExamples(2, [])},
    )
    assert [row.examples.count for row in rows] == [0, 2, 0]
    assert [(row.name, row.share) for row in rows] == [("missed", 1.0), ("class", pytest.approx(0.05)), ("both", 0.0)]
    assert error_panels(metrics(errors={"both": ErrorKind(0, 0.0)}), {})[0].share == 0
    assert error_panels(metrics(), {}) == []


def test_the_confusion_matrix_has_shares_of_the_row_and_no_corner() -> None:
    rows = confusion_rows(Confusion(("A", "B"), ((3, 1, 0), (0, 0, 0), (2, 2, 0)), 0.5))
    assert [name for name, _ in rows] == ["A", "B", "nothing there"]
    shares = [[None if cell is None else (cell.share, cell.right) for cell in cells] for _, cells in rows]
    assert shares[0] == [(0.75, True), (0.25, False), (0.0, False)]
    assert shares[1] == [(0.0, False), (0.0, True), (0.0, False)]
    assert shares[2] == [(0.5, False), (0.5, False), None]
    many = tuple(f"class {n}" for n in range(30))
    assert confusion_rows(Confusion(many, tuple(tuple([0] * 31) for _ in range(31)), 0.5)) == []
    assert confusion_rows(None) == []
