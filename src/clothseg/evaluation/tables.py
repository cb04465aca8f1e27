"""Metrics and comparisons as tables for a terminal."""

import io

from rich import box
from rich.console import Console
from rich.table import Table

from clothseg.counting import counted
from clothseg.evaluation.values import Comparison, Confusion, Difference, Interval, MetricValues

_HEADLINES = ("mask_AP", "mask_AP50", "boundary_AP", "box_AP", "box_AP50", "report_mAP")
NOTHING = "nothing there"
"""The name of the last row of a confusion matrix: detections where there is no object."""
_MAX_CLASSES = 12  # of a confusion matrix on a terminal
_ERRORS = {
    "class": "right place, wrong class",
    "location": "right class, IoU with the object too low",
    "both": "wrong class and IoU too low",
    "duplicate": "object found a second time",
    "background": "no object there",
    "missed": "object not found",
}


def percent(value: float | None) -> str:
    """A fraction as 0..100 with one decimal, or a dash if there is no value."""
    return "–" if value is None else f"{100 * value:.1f}"


def metrics_table(metrics: MetricValues) -> str:
    """All metrics as text, in percent with one decimal; a dash for a metric without a value."""
    parts = [_classes(metrics), _headlines(metrics)]
    if metrics.threshold is not None:
        parts.append(_thresholds(metrics))
    if metrics.errors:
        parts.append(_errors(metrics))
    if metrics.confusion is not None and len(metrics.confusion.classes) <= _MAX_CLASSES:
        parts.append(_confusion(metrics.confusion))
    return "\n\n".join([*parts, "\n".join(_sentences(metrics))]).rstrip() + "\n"


def comparison_table(comparison: Comparison, a: str, b: str) -> str:
    """One row per metric, then a summary; `a` and `b` are the names of the two sides."""
    table = new_table("", f"A  {a}", f"B  {b}", "B - A", "95 % interval of B - A")
    for name, found in comparison.differences.items():
        digits = decimals(found.interval)
        low, high = points(found.interval.low, digits), points(found.interval.high, digits)
        between = f"[{low:+.{digits}f}, {high:+.{digits}f}]"
        table.add_row(name, percent(found.a), percent(found.b), f"{points(found.change):+.1f}", between)
    first = next(iter(comparison.differences.items()))
    text = [table_text(table), "", verdict(*first)]
    text.append(f"{counted(comparison.photos, 'photo')}; both sides use the same bootstrap samples of them.")
    return "\n".join([*text, *comparison.notes]) + "\n"


def verdict(name: str, found: Difference) -> str:
    """`B is better by 3.1 [0.4, 5.8] (mask_AP).`, or a sentence that the difference can be chance."""
    digits = decimals(found.interval)
    low, high = points(found.interval.low, digits), points(found.interval.high, digits)
    if found.change < 0:
        low, high = 0.0 - high, 0.0 - low
    size = f"{abs(points(found.change)):.1f} [{low:.{digits}f}, {high:.{digits}f}]"
    if found.a == found.b and low == high == 0:
        return f"A and B are the same ({name})."
    better = "B" if found.change >= 0 else "A"
    if found.significant:
        return f"{better} is better by {size} ({name})."
    return f"{better} is ahead by {size} ({name}), but this can be chance: the interval contains 0."


def points(value: float, digits: int = 1) -> float:
    """0..100 with some decimals; adding 0 removes the sign of a zero."""
    return round(100 * value, digits) + 0.0


def decimals(interval: Interval) -> int:
    """The decimals of an interval of points: one, or so many that an interval beside 0 does not seem to reach it."""
    if interval.low <= 0 <= interval.high:
        return 1
    nearest = 100 * min(abs(interval.low), abs(interval.high))
    return next((digits for digits in (1, 2, 3) if round(nearest, digits)), 4)


def _classes(metrics: MetricValues) -> str:
    table = new_table("", "objects", "mask AP", "AP50", "AP75", "boundary AP", "box AP", "AP50", "AP75")
    keys = ("mask_AP", "mask_AP50", "mask_AP75", "boundary_AP", "box_AP", "box_AP50", "box_AP75")
    for name, part in metrics.classes.items():
        table.add_row(name, str(part.instances), *(percent(part.values.get(key)) for key in keys))
    table.add_section()
    objects = sum(part.instances for part in metrics.classes.values())
    table.add_row("all classes", str(objects), *(percent(metrics.overall.get(key)) for key in keys))
    return table_text(table)


def _headlines(metrics: MetricValues) -> str:
    table = new_table("", "", "95 % interval over photos", "")
    for name in _HEADLINES:
        if metrics.overall.get(name) is None:
            continue
        interval = metrics.intervals.get(name)
        between = f"{percent(interval.low)} to {percent(interval.high)}" if interval else "–"
        table.add_row(name, percent(metrics.overall[name]), between, _protocol(name, metrics))
    return table_text(table) if table.row_count else "No metric has a value."


def _protocol(name: str, metrics: MetricValues) -> str:
    if name == "report_mAP":
        threshold = metrics.report_score_threshold
        return "the report's, not COCO's" + ("" if threshold is None else f"; score from {threshold:.2f}")
    return "COCO's, at IoU .50" if name.endswith("50") else "COCO's, IoU .50:.95"


def _thresholds(metrics: MetricValues) -> str:
    table = new_table("best score threshold", "score", "F1", "precision", "recall")
    rows = [*metrics.thresholds.items()]
    if metrics.threshold is not None:
        rows.append(("all classes", metrics.threshold))
    for name, best in rows:
        table.add_row(name, f"{best.score:.3f}", percent(best.f1), percent(best.precision), percent(best.recall))
    return table_text(table)


def _errors(metrics: MetricValues) -> str:
    table = new_table("errors at IoU .50", "", "count", "cost in AP50")
    for name, part in metrics.errors.items():
        table.add_row(name, _ERRORS.get(name, ""), str(part.count), percent(part.cost))
    return table_text(table, left=2)


def _confusion(found: Confusion) -> str:
    table = new_table(
        f"true class, score from {found.threshold:.2f}", *(f"as {name}" for name in found.classes), "missed"
    )
    for name, row in zip(found.classes, found.counts[:-1], strict=True):
        table.add_row(name, *map(str, row))
    table.add_row(NOTHING, *map(str, found.counts[-1][:-1]), "")  # not "background": a class may have that name
    return table_text(table)


def _sentences(metrics: MetricValues) -> list[str]:
    lines = [f"{counted(metrics.detections, 'detection')} on {counted(metrics.photos, 'photo')}."]
    on_empty = metrics.false_positives_on_empty
    if on_empty is not None:
        lines.append(
            f"False positives on {on_empty.photos_with_detections} of {counted(on_empty.photos, 'photo')} without "
            f"objects: {counted(on_empty.detections, 'detection')} with a score from {on_empty.threshold:.2f}."
        )
    if metrics.calibration is not None:
        check = metrics.calibration
        how = "cross-fitted over photos" if check.cross_fitted else f"fitted on {counted(check.photos, 'other photo')}"
        lines.append(
            f"Expected calibration error {percent(check.before.expected_error)} before calibration, "
            f"{percent(check.after.expected_error)} after ({how})."
        )
    elif metrics.reliability is not None:
        lines.append(
            f"Expected calibration error {percent(metrics.reliability.expected_error)} (--calibrate lowers it)."
        )
    return [*lines, *metrics.notes]


def new_table(first: str, *headings: str) -> Table:
    """A table whose columns, after the first, are aligned to the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def table_text(table: Table, left: int = 1) -> str:
    """The table as text; the first `left` columns are aligned to the left."""
    for column in table.columns[:left]:
        column.justify = "left"
    text = io.StringIO()
    console = Console(file=text, width=10_000, color_system=None)
    console.width = console.measure(table).maximum  # its own: no number is lost for want of space
    console.print(table)
    return text.getvalue().strip("\n")
