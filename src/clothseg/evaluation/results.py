"""Detections in COCO's results form: made by a network, or read from a file. `checks.py` holds them against a truth."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from clothseg.dataset import CocoLikeDataset, to_tensor
from clothseg.errors import DataError
from clothseg.evaluation.collector import collector_paused
from clothseg.files import read_json
from clothseg.instances import Instances, to_xywh


class Detector(Protocol):
    """Anything that finds instances on photos; see `networks.Network`."""

    def detect(self, images: list[Tensor]) -> list[Instances]:
        """For each float RGB `[3, H, W]` in 0..1 its instances, in the photo's own pixels."""
        ...


def detections(detector: Detector, dataset: CocoLikeDataset) -> Iterator[list[dict[str, Any]]]:
    """For each photo of a prepared data set what `detector` finds on it, in COCO's results form."""
    with torch.no_grad():
        for position, image in enumerate(dataset.images):
            found = detector.detect([to_tensor(dataset.load_image(position))])[0]
            yield coco_results(image.id, found, dataset.source_class_id)


def coco_results(image_id: int | str, found: Instances, category_id: Callable[[int], int]) -> list[dict[str, Any]]:
    """One dict a detection: image_id, category_id, bbox (x y w h), score, segmentation (RLE of the photo's size).

    Args:
        image_id: as the annotations have it, or a file name where there are none.
        found: detections on the photo.
        category_id: from a class 1..K to the id in the annotations.
    """
    rows = zip(
        found.classes.tolist(), found.scores.tolist(), to_xywh(found.boxes).tolist(), found.masks.rle(), strict=True
    )
    return [
        {
            "image_id": image_id,
            "category_id": category_id(label),
            "bbox": [round(side, 3) for side in box],
            "score": score,
            "segmentation": dict(mask),
        }
        for label, score, box, mask in rows
    ]


def read_results(path: Path) -> list[Any]:
    """The rows of a COCO results file: a list, or an object with the list under `annotations`.

    Raises:
        DataError: the file cannot be read, or is neither. What stands in the rows is not looked at here.
    """
    try:
        with collector_paused():
            rows = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as COCO results ({error})") from error
    if isinstance(rows, dict):
        rows = rows.get("annotations")
    if not isinstance(rows, list):
        raise DataError(f"{path}: COCO results are a list of detections with image_id, category_id and score")
    return rows
