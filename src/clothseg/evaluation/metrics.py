"""`Metrics`: the values of an evaluation, to JSON and back, and as a table."""

import json
from dataclasses import asdict, dataclass
from functools import cache

from pydantic import TypeAdapter, ValidationError

from clothseg.errors import DataError
from clothseg.evaluation.tables import metrics_table
from clothseg.evaluation.values import MetricValues

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
            metrics = _adapter().validate_json(text, strict=True)
            metrics.to_json()  # raises for numbers that are not finite
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            place = ".".join(map(str, problem["loc"]))
            missing = problem["type"] == "missing"
            reason = f"it has no {place}; evaluate again" if missing else f"{place}: {problem['msg']}"
            raise DataError(f"not a metrics file of clothseg; {reason}") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"not a metrics file of clothseg ({type(error).__name__}: {error})") from error
        return metrics

    def table(self) -> str:
        """The metrics as text for a terminal, in percent with one decimal; a dash for a metric without a value."""
        return metrics_table(self)


@cache
def _adapter() -> TypeAdapter[Metrics]:
    return TypeAdapter(Metrics)
