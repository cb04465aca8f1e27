"""`Metrics`: what an evaluation found, as a value that files and pages are made from."""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from clothseg.errors import DataError
from clothseg.evaluation.intervals import Interval

PROTOCOL = (
    "COCO detection: AP is the mean over IoU .50:.05:.95 of the 101-point interpolated precision, at most 100 "
    "detections a photo and class; small is below 32 x 32 pixels of the object, large from 96 x 96. Fractions 0..1."
)

Figures = Mapping[str, float | None]


@dataclass(frozen=True)
class ClassMetrics:
    """One class.

    Attributes:
        instances: objects of the class in the truth, crowds not counted.
        figures: `box_AP`, `box_AP50`, `box_AP75`, `box_AR_100`, and the same with `mask_`, in 0..1; None where the
            truth has no object to judge by, or the detections have no masks.
    """

    instances: int
    figures: Figures


@dataclass(frozen=True)
class Metrics:
    """COCO's figures of one set of detections. All are fractions in 0..1; `table()` and pages show them as 0..100.

    Attributes:
        overall: `box_AP`, `box_AP50`, `box_AP75`, `box_AP_small`, `box_AP_medium`, `box_AP_large`, `box_AR_1`,
            `box_AR_10`, `box_AR_100`, and the same with `mask_`; None where the truth has nothing to judge by.
        classes: by class name, in the order of the truth's category ids.
        intervals: by the name of a figure of `overall`.
        photos: photos in the truth, those without objects included.
        detections: detections that were judged.
        notes: what a reader of the figures should know, as sentences.
    """

    overall: Figures
    classes: Mapping[str, ClassMetrics]
    photos: int
    detections: int
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """JSON text that `from_json` reads back to an equal value; figures without a value are null."""
        tree = {"protocol": PROTOCOL} | asdict(self)
        return json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Metrics":
        """Read what `to_json` wrote.

        Raises:
            DataError: the text is not JSON, or not of this shape.
        """
        try:
            tree: dict[str, Any] = json.loads(text)
            return cls(
                overall=dict(tree["overall"]),
                classes={
                    name: ClassMetrics(int(part["instances"]), dict(part["figures"]))
                    for name, part in tree["classes"].items()
                },
                photos=int(tree["photos"]),
                detections=int(tree["detections"]),
                intervals={name: Interval(**part) for name, part in tree["intervals"].items()},
                notes=tuple(tree["notes"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"not a metrics file of clothseg ({type(error).__name__}: {error})") from error

    def table(self) -> str:
        """The figures for a terminal, as percent with one decimal; a dash where there is none."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("")
        for heading in ("objects", "mask AP", "mask AP50", "mask AP75", "box AP", "box AP50", "box AP75"):
            table.add_column(heading, justify="right")
        keys = ("mask_AP", "mask_AP50", "mask_AP75", "box_AP", "box_AP50", "box_AP75")
        for name, part in self.classes.items():
            table.add_row(name, str(part.instances), *(percent(part.figures.get(key)) for key in keys))
        table.add_section()
        objects = sum(part.instances for part in self.classes.values())
        table.add_row("all classes", str(objects), *(percent(self.overall.get(key)) for key in keys))
        lines = [
            f"{name.replace('_', ' ')}: {percent(self.overall.get(name))}, {interval}"
            for name, interval in self.intervals.items()
        ]
        text = io.StringIO()
        Console(file=text, width=100, color_system=None).print(table)
        return "\n".join([text.getvalue().rstrip(), "", *lines, *self.notes]).rstrip() + "\n"


def percent(value: float | None) -> str:
    """A fraction as people read it: 0..100 with one decimal, or a dash where there is no value."""
    return "–" if value is None else f"{100 * value:.1f}"
