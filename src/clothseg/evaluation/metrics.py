"""`Metrics`: the values of an evaluation, to JSON and back, and as a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from clothseg.errors import DataError
from clothseg.evaluation.tables import metrics_table
from clothseg.evaluation.values import (
    ClassMetrics,
    Confusion,
    Curve,
    ErrorKind,
    FalsePositivesOnEmpty,
    Interval,
    MetricValues,
    Threshold,
)

PROTOCOL = (
    "COCO detection: AP is the mean over IoU .50:.05:.95 of the 101-point interpolated precision, at most 100 "
    "detections per photo and class; small objects have less than 32 x 32 pixels, large ones 96 x 96 or more. "
    "Fractions 0..1."
)
PROTOCOLS = {
    "mask_, box_": PROTOCOL,
    "boundary_": "COCO detection with the smaller of mask IoU and the IoU of bands along the contours (2 % of the "
    "photo's diagonal wide).",
    "report_mAP": "The report's, not COCO's: each photo's AP at mask IoU .50, all classes in one ranking, detections "
    "with a score of at least report_score_threshold; then the mean over photos with objects.",
}


@dataclass(frozen=True)
class Metrics(MetricValues):
    """The metrics of one set of detections; see `MetricValues` for the values."""

    def to_json(self) -> str:
        """JSON text that `from_json` reads back to an equal value; a metric without a value is null."""
        tree = {"protocol": PROTOCOL, "protocols": PROTOCOLS} | asdict(self)
        return json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Metrics":
        """Reads the text that `to_json` writes; values that earlier versions did not write may be missing.

        Raises:
            DataError: the text is not JSON, or is not a metrics file.
        """
        try:
            tree: dict[str, Any] = json.loads(text)
            return cls(
                overall=dict(tree["overall"]),
                classes={
                    name: ClassMetrics(int(part["instances"]), dict(part["values"]))
                    for name, part in tree["classes"].items()
                },
                photos=int(tree["photos"]),
                detections=int(tree["detections"]),
                intervals={name: Interval(**part) for name, part in tree["intervals"].items()},
                notes=tuple(tree["notes"]),
                **_details(tree),
            )
        except KeyError as error:
            raise DataError(f"not a metrics file of clothseg: it has no {error}; evaluate again") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError(f"not a metrics file of clothseg ({type(error).__name__}: {error})") from error

    def table(self) -> str:
        """The metrics as text for a terminal, in percent with one decimal; a dash for a metric without a value."""
        return metrics_table(self)


def _details(tree: Mapping[str, Any]) -> dict[str, Any]:
    confusion, on_empty, threshold = tree.get("confusion"), tree.get("false_positives_on_empty"), tree.get("threshold")
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
        "false_positives_on_empty": FalsePositivesOnEmpty(**on_empty) if on_empty else None,
        "report_score_threshold": tree.get("report_score_threshold"),
        "truth": str(tree.get("truth", "")),
    }


def _floats(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
