"""Detections of a network in COCO's results form. Those that are in a file already are read in `checks.py`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from clothseg.dataset import CocoLikeDataset, to_tensor
from clothseg.instances import Instances, to_xywh


class Detector(Protocol):
    """Anything that finds instances on photos; see `networks.Network`."""

    def detect(self, images: list[Tensor]) -> list[Instances]:
        """For each float RGB `[3, H, W]` in 0..1 its instances, in the photo's own pixels."""
        ...


def detections(
    detector: Detector, dataset: CocoLikeDataset, classes: Sequence[str] | None = None
) -> Iterator[list[dict[str, Any]]]:
    """For each photo of a prepared data set what `detector` finds on it, in COCO's results form.

    Args:
        detector: of instances.
        dataset: whose ids of classes the results have.
        classes: that the detector knows, by name; those of the data set where it is not given. What it finds of
            others is left out.
    """
    known = dataset.classes if classes is None else classes
    ids = {
        n: dataset.source_class_id(dataset.classes.index(c) + 1) for n, c in enumerate(known, 1) if c in dataset.classes
    }
    wanted = torch.tensor([label in ids for label in range(len(known) + 1)])
    with torch.no_grad():
        for position, image in enumerate(dataset.images):
            found = detector.detect([to_tensor(dataset.load_image(position))])[0]
            yield coco_results(image.id, found[wanted[found.classes.cpu()]], ids.__getitem__)


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
