"""Prepares the tables of the page that compares networks."""

from collections.abc import Sequence
from dataclasses import dataclass

from clothseg.evaluation.comparison.semantic import METRIC
from clothseg.evaluation.comparison.values import PairDifferences, SeveralComparison, SideMetrics
from clothseg.evaluation.tables import decimals, percent, points
from clothseg.evaluation.values import Interval
from clothseg.report.text import duration

_MASKS = (
    ("mask_AP", "mask AP"),
    ("mask_AP50", "AP50"),
    ("mask_AP75", "AP75"),
    ("boundary_AP", "boundary AP"),
    ("report_mAP", "report mAP"),
    (METRIC, "semantic mIoU"),
)
_BOXES = (("box_AP", "box AP"), ("box_AP50", "AP50"), ("box_AP75", "AP75"))
OF_CLASS = (("mask_AP", "AP"), ("mask_AP50", "AP50"), ("semantic_IoU", "IoU"))
_BOXES_OF_CLASS = (("box_AP", "AP"), ("box_AP50", "AP50"))


@dataclass(frozen=True)
class Cell:
    """A cell of a table: a value as text, its interval as text, and how it stands out."""

    value: str
    interval: str = ""
    kind: str = ""


def metrics_shown(found: SeveralComparison) -> tuple[tuple[str, str], ...]:
    """Name and heading of the metrics in the tables: of masks, or of boxes if a side has no masks."""
    return _MASKS if has_masks(found) else _BOXES


def has_masks(found: SeveralComparison) -> bool:
    """Whether all sides have mask metrics."""
    return all(side.overall.get("mask_AP") is not None for side in found.sides)


def metric_rows(found: SeveralComparison) -> list[tuple[str, list[Cell]]]:
    """The metrics of each side with their intervals; the highest value of a column stands out."""
    rows = []
    for side in found.sides:
        cells = []
        for name, _ in metrics_shown(found):
            value, interval = side.overall.get(name), side.intervals.get(name)
            highest = max((v for other in found.sides if (v := other.overall.get(name)) is not None), default=None)
            text = f"{percent(interval.low)} to {percent(interval.high)}" if interval and value is not None else ""
            cells.append(Cell(percent(value), text, "high" if value is not None and value == highest else ""))
        rows.append((side.title, cells))
    return rows


def pair_rows(found: SeveralComparison) -> list[tuple[str, str, list[Cell]]]:
    """The second and the first title of each pair, and second minus first with its interval."""
    return [(pair.b, pair.a, [_difference(pair, name) for name, _ in metrics_shown(found)]) for pair in found.pairs]


def _difference(pair: PairDifferences, name: str) -> Cell:
    difference = pair.differences.get(name)
    if difference is None:
        return Cell("–")
    kind = ("up" if difference.change > 0 else "down") if difference.significant else ""
    return Cell(signed(difference.change), interval_text(difference.interval), kind)


def signed(value: float, digits: int = 1) -> str:
    """A difference of fractions in points, with its sign; no sign for a zero."""
    rounded = points(value, digits)
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else "0.0"


def interval_text(interval: Interval) -> str:
    """`−1.2 to +3.4`."""
    digits = decimals(interval)
    return f"{signed(interval.low, digits)} to {signed(interval.high, digits)}"


def class_columns(found: SeveralComparison) -> tuple[tuple[str, str], ...]:
    """Name and heading of the metrics of a class."""
    return OF_CLASS if has_masks(found) else _BOXES_OF_CLASS


def class_rows(found: SeveralComparison) -> list[tuple[str, int, list[list[str]]]]:
    """The name and the number of objects of each class, and the metrics of each side."""
    first = found.sides[0].classes
    return [
        (
            name,
            part.instances,
            [[percent(side.classes[name].values.get(key)) for key, _ in class_columns(found)] for side in found.sides],
        )
        for name, part in first.items()
    ]


def background_row(found: SeveralComparison) -> list[str]:
    """The IoU of the background of each side; empty without masks."""
    return [percent(side.background_iou) for side in found.sides] if has_masks(found) else []


def cost_rows(found: SeveralComparison) -> list[tuple[str, list[str]]]:
    """For each side: time a photo, photos per second, parameters, size of the file, training time, backbone."""
    return [(side.title, _costs(side)) for side in found.sides]


def _costs(side: SideMetrics) -> list[str]:
    first = side.sources[0]
    times = [one.training_seconds for one in side.sources if one.training_seconds is not None]
    speed = side.speed
    return [
        f"{1000 * speed.seconds:.0f} ms" if speed else "–",
        f"{1 / speed.seconds:.1f}" if speed else "–",
        f"{first.parameters / 1e6:.1f} million" if first.parameters else "–",
        f"{first.weights_bytes / 1e6:.0f} MB" if first.weights_bytes else "–",
        (duration(sum(times) / len(times)) + (" each" if len(times) > 1 else "")) if times else "–",
        first.backbone or "–",
    ]


def ratio_sentences(found: SeveralComparison) -> list[str]:
    """`YOLACT takes 0.46 [0.44, 0.49] times as long as Mask R-CNN.`"""
    return [
        f"{pair.b} takes {ratio:.2f} [{interval.low:.2f}, {interval.high:.2f}] times as long as {pair.a}."
        for pair in found.pairs
        if pair.time_ratio is not None
        for ratio, interval in [pair.time_ratio]
    ]


def without_network(sides: Sequence[SideMetrics]) -> list[str]:
    """Titles of sides of which nothing but results is known."""
    return [side.title for side in sides if side.sources[0].weights_bytes is None]
