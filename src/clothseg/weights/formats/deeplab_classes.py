"""Names for the classes of DeepLab files, which have none, and the row of background, which some do not have."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from clothseg.errors import WeightsError
from clothseg.weights.converted import ConvertedWeights

VOC = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""Pascal VOC's classes 1 to 20; 0 is background."""

CITYSCAPES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
"""Cityscapes' 19 classes of training. None of them is background."""

COCO_PANOPTIC = 133
"""COCO's panoptic classes. None of them is background."""

NO_BACKGROUND = -1e4
"""Offset of the row of background in a file without one: its probability is 0."""


def name_classes(path: Path, converted: ConvertedWeights) -> None:
    """Sets the classes by their number, and gives the last layers a row of background where the file has none.

    21 rows are Pascal VOC's, 19 those of Cityscapes, 133 COCO's panoptic classes; of any other number the first row is
    background.

    Raises:
        WeightsError: the last layer is missing, or has no class besides background.
    """
    rows = converted.tensors.get("semantic.predictor.weight")
    if rows is None:
        raise WeightsError(f"{path}: {converted.layout}, but its last layer is missing; the file is not complete")
    count = len(rows)
    if count < 2:
        raise WeightsError(f"{path}: the class layer has no class besides background")
    if count in {len(CITYSCAPES), COCO_PANOPTIC}:
        _add_background(converted)
        names = list(CITYSCAPES) if count == len(CITYSCAPES) else [f"class {n}" for n in range(1, count + 1)]
        converted.classes = names
    else:
        converted.classes = list(VOC) if count == len(VOC) + 1 else [f"class {n}" for n in range(1, count)]


def _add_background(converted: ConvertedWeights) -> None:
    keys = {name: key for key, name in converted.renamed.items()}
    for layer in ("semantic.predictor", "aux.predictor"):
        for kind, value in (("weight", 0.0), ("bias", NO_BACKGROUND)):
            name = f"{layer}.{kind}"
            if name in keys:
                converted.update(name, keys[name], "a row for background, which never wins", _with_first_row(value))


def _with_first_row(value: float) -> Callable[[Tensor], Tensor]:
    return lambda rows: torch.cat([rows.new_full((1, *rows.shape[1:]), value), rows])
