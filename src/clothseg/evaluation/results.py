"""Detections in COCO's results form."""

from collections.abc import Callable
from typing import Any

from clothseg.instances import Instances, to_xywh


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
