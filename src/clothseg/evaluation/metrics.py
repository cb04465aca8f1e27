"""`Metrics`: what an evaluation found, as a value that files and pages are made from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from clothseg.errors import DataError
from clothseg.evaluation.intervals import Interval
from clothseg.evaluation.tables import metrics_table

PROTOCOL = (
    "COCO detection: AP is the mean over IoU .50:.05:.95 of the 101-point interpolated precision, at most 100 "
    "detections a photo and class; small is below 32 x 32 pixels of the object, large from 96 x 96. Fractions 0..1."
)
PROTOCOLS = {
    "mask_, box_": PROTOCOL,
    "boundary_": "COCO detection with the smaller of mask IoU and the IoU of bands along the contours (2 % of the "
    "photo's diagonal).",
    "report_mAP": "The report's, not COCO's: each photo's AP at mask IoU .50, all classes in one ranking, detections "
    "of at least report_min_confidence; then the mean over photos with objects.",
}

Figures = Mapping[str, float | None]


@dataclass(frozen=True)
class ClassMetrics:
    """One class.

    Attributes:
        instances: objects of the class in the truth, crowds not counted.
        figures: `box_AP`, `box_AP50`, `box_AP75`, `box_AR_100`, and the same with `mask_` and `boundary_`, in 0..1;
            None where the truth has no object to judge by, or the detections have no masks.
    """

    instances: int
    figures: Figures


@dataclass(frozen=True)
class Curve:
    """Precision over recall of one class at IoU .50.

    Attributes:
        precision: 101 values, at recall 0, 0.01, ... 1; interpolated as COCO does, so that it only falls.
        scores: the score from which on each of these recalls is reached; 0 where it never is.
    """

    precision: tuple[float, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Threshold:
    """The score with the best F1 at IoU .50, and what precision and recall are with it."""

    score: float
    f1: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Confusion:
    """What was taken for what at IoU .50.

    Attributes:
        classes: names, K of them.
        counts: `K+1` rows of `K+1`: a row for each true class, a column for each found one; the last is background.
        threshold: detections with at least this score were counted.
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    threshold: float


@dataclass(frozen=True)
class ErrorKind:
    """One kind of mistake: how often, and by how much AP50 would rise (0..1) if only this kind were put right."""

    count: int
    cost: float


@dataclass(frozen=True)
class FalseAlarms:
    """What was found on photos without objects: `detections` with at least `threshold` on `alarmed` of `photos`."""

    photos: int
    alarmed: int
    detections: int
    threshold: float


@dataclass(frozen=True)
class Metrics:
    """What one set of detections is worth. Figures are fractions in 0..1; `table()` and pages show them as 0..100.

    Attributes:
        overall: `box_AP`, `box_AP50`, `box_AP75`, `box_AP_small`, `box_AP_medium`, `box_AP_large`, `box_AR_1`,
            `box_AR_10`, `box_AR_100`, the same with `mask_` and `boundary_`, and `report_mAP`, which is not COCO's;
            None where the truth has nothing to judge by.
        classes: by class name, in the order of the truth's category ids.
        intervals: by the name of a figure of `overall`.
        photos: photos in the truth, those without objects included.
        detections: detections that were judged.
        notes: what a reader of the figures should know, as sentences.
        curves: by class name, where the truth has objects of it. Of masks, or of boxes where there are no masks, like
            all that follows.
        thresholds: the best score threshold by class name.
        threshold: the best one for all classes together; what is counted at one threshold is counted at this.
        confusion: what was taken for what.
        errors: mistakes by kind: class, location, both, duplicate, background, missed.
        false_alarms: on photos without objects; None where there is no such photo.
        report_min_confidence: of `report_mAP`.
        truth: fingerprint of the truth; two evaluations with the same can be compared.
    """

    overall: Figures
    classes: Mapping[str, ClassMetrics]
    photos: int
    detections: int
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    curves: Mapping[str, Curve] = field(default_factory=dict)
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    threshold: Threshold | None = None
    confusion: Confusion | None = None
    errors: Mapping[str, ErrorKind] = field(default_factory=dict)
    false_alarms: FalseAlarms | None = None
    report_min_confidence: float | None = None
    truth: str = ""

    def to_json(self) -> str:
        """JSON text that `from_json` reads back to an equal value; figures without a value are null."""
        tree = {"protocol": PROTOCOL, "protocols": PROTOCOLS} | asdict(self)
        return json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Metrics":
        """Read what `to_json` wrote, also what earlier versions wrote with fewer figures.

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
                **_details(tree),
            )
        except KeyError as error:
            raise DataError(f"not a metrics file of clothseg: it has no {error}") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError(f"not a metrics file of clothseg ({type(error).__name__}: {error})") from error

    def table(self) -> str:
        """The figures for a terminal, as percent with one decimal; a dash where there is none."""
        return metrics_table(self)


def _details(tree: Mapping[str, Any]) -> dict[str, Any]:
    confusion, alarms, threshold = tree.get("confusion"), tree.get("false_alarms"), tree.get("threshold")
    return {
        "curves": {
            name: Curve(_floats(part["precision"]), _floats(part["scores"]))
            for name, part in tree.get("curves", {}).items()
        },
        "thresholds": {name: Threshold(**part) for name, part in tree.get("thresholds", {}).items()},
        "threshold": Threshold(**threshold) if threshold else None,
        "confusion": Confusion(
            tuple(confusion["classes"]), tuple(tuple(row) for row in confusion["counts"]), confusion["threshold"]
        )
        if confusion
        else None,
        "errors": {name: ErrorKind(**part) for name, part in tree.get("errors", {}).items()},
        "false_alarms": FalseAlarms(**alarms) if alarms else None,
        "report_min_confidence": tree.get("report_min_confidence"),
        "truth": str(tree.get("truth", "")),
    }


def _floats(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
