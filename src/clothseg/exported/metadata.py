"""What an exported file says about itself: format, classes, thresholds, settings, and what its outputs mean."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clothseg.errors import WeightsError
from clothseg.instances.calibration import Calibration

FORMAT = "clothseg-onnx-1"
KEY = "clothseg"


@dataclass(frozen=True)
class ExportMetadata:
    """The metadata of an exported file.

    Attributes:
        classes: names of the classes 1..K.
        form: what the outputs are; a name in `forms.FORMS`.
        options: of the step after the graph, which belong to the form.
        score_threshold: lowest score of a detection.
        class_thresholds: lowest score by class name.
        class_agnostic_nms_iou: mask IoU from which only the best of detections of different classes stays.
        config: all settings of the network, as YAML.
        version: of the clothseg that wrote the file.
        numbers: what the graph computes with.
        calibration: of the scores, as JSON; None if they are the network's own.
        refine_edges: whether the edges of masks move to those of the photo.
    """

    classes: list[str]
    form: str
    options: dict[str, Any]
    score_threshold: float
    class_thresholds: dict[str, float]
    class_agnostic_nms_iou: float | None
    config: str
    version: str = ""
    numbers: str = field(default="float32")
    calibration: str | None = None
    refine_edges: bool = False

    @property
    def calibrates(self) -> Calibration | None:
        """What changes the scores; raises a ValueError, TypeError or KeyError if it is damaged."""
        return None if self.calibration is None else Calibration.from_json(self.calibration, len(self.classes))

    def to_properties(self) -> dict[str, str]:
        """The properties of the ONNX model."""
        return {"format": FORMAT, KEY: json.dumps(asdict(self))}


def parse_properties(path: Path, properties: Mapping[str, str]) -> ExportMetadata:
    """The metadata in the properties of the model in the file `path`.

    Raises:
        WeightsError: clothseg did not export the file, or another version of it did, or the metadata is damaged.
    """
    found = properties.get("format", "")
    if not found.startswith("clothseg-onnx-"):
        raise WeightsError(f"{path}: an ONNX file that clothseg did not export; make one with `clothseg export`")
    if found != FORMAT:
        raise WeightsError(
            f"{path}: it has the format {found}, but this version of clothseg reads {FORMAT}; export the run again"
        )
    try:
        tree = json.loads(properties[KEY])
        metadata = ExportMetadata(**tree)
        names_are_text = all(isinstance(name, str) for name in metadata.classes) and len(metadata.classes) > 0
        if not (names_are_text and isinstance(metadata.options, dict) and isinstance(metadata.class_thresholds, dict)):
            raise ValueError("classes, options or thresholds have the wrong type")
        _ = metadata.calibrates
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its metadata cannot be read ({error}); export the run again") from error
    return metadata
