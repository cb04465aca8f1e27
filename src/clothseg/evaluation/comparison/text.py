"""A comparison of several sides as text for a terminal."""

from clothseg.counting import counted
from clothseg.evaluation.comparison.semantic import METRIC
from clothseg.evaluation.comparison.values import SeveralComparison
from clothseg.evaluation.tables import decimals, new_table, percent, points, table_text
from clothseg.evaluation.values import Interval

_METRICS = ("mask_AP", "mask_AP50", "mask_AP75", "boundary_AP", "box_AP", "report_mAP", METRIC)


def several_table(found: SeveralComparison) -> str:
    """The metrics of each side, the differences of every pair, and the verdict; in percent with one decimal."""
    shown = [name for name in _METRICS if any(side.overall.get(name) is not None for side in found.sides)]
    parts = [_sides(found, shown), _pairs(found, shown), "\n".join(found.verdict)]
    speeds = [
        f"{side.title}: {1000 * side.speed.seconds:.0f} ms a photo ({side.speed.device}, "
        f"{counted(side.speed.threads, 'thread')})."
        for side in found.sides
        if side.speed is not None
    ]
    notes = [
        f"{counted(found.photos, 'photo')}; all sides use the same bootstrap samples of them.",
        *speeds,
        *found.notes,
    ]
    notes += [f"{side.title}: {note}" for side in found.sides for note in side.notes]
    return "\n\n".join([*parts, "\n".join(notes)]) + "\n"


def _sides(found: SeveralComparison, shown: list[str]) -> str:
    table = new_table("metric, 95 % interval", *(side.title for side in found.sides))
    for name in shown:
        cells = []
        for side in found.sides:
            interval = side.intervals.get(name)
            between = f" [{points(interval.low):.1f}, {points(interval.high):.1f}]" if interval else ""
            cells.append(percent(side.overall.get(name)) + between)
        table.add_row(name, *cells)
    return table_text(table)


def _pairs(found: SeveralComparison, shown: list[str]) -> str:
    """One row per pair and metric; a star where the interval does not contain 0."""
    table = new_table("", "", "difference", "95 % interval", "")
    for pair in found.pairs:
        name = f"{pair.b} - {pair.a}"
        for metric in shown:
            difference = pair.differences.get(metric)
            if difference is None:
                continue
            star = "*" if difference.significant else ""
            change = f"{points(difference.change):+.1f}"
            table.add_row(name, metric, change, _between(difference.interval), star)
            name = ""
        table.add_section()
    return table_text(table, left=2) + "\n* The interval does not contain 0."


def _between(interval: Interval) -> str:
    digits = decimals(interval)
    return f"[{points(interval.low, digits):+.{digits}f}, {points(interval.high, digits):+.{digits}f}]"
