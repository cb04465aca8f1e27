"""Boundary AP, computed by a library. `vernier` is imported only here; it may be missing, see `missing_note`.

Boundary IoU compares two masks only in a band along their contours, 2 % of the photo's diagonal wide. So a large object
with a ragged outline does not score high because its inside fits. A match needs the smaller of mask IoU and boundary
IoU. For a crowd, whose contour means nothing, only the mask IoU counts.
Source: Cheng et al., "Boundary IoU", CVPR 2021.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clothseg.evaluation.matches import ClassMatches, Records, class_matches
from clothseg.evaluation.truth import GroundTruth
from clothseg.instances import CocoResult, mask_area, tight_box

if TYPE_CHECKING:
    import vernier


@dataclass(frozen=True)
class _CocoObject:
    """The part of pycocotools' `COCO` that the library uses."""

    dataset: Mapping[str, Any]

    def getImgIds(self) -> list[int]:  # noqa: N802 - the library's name
        """Ids of the photos."""
        return [image["id"] for image in self.dataset["images"]]

    def getCatIds(self) -> list[int]:  # noqa: N802 - the library's name
        """Ids of the classes."""
        return [category["id"] for category in self.dataset["categories"]]


def run_boundary(truth: GroundTruth, rows: Sequence[CocoResult]) -> "vernier.COCOeval":
    """The library's evaluator for boundaries, matched and accumulated; `rows` are checked results with masks."""
    evaluator = _evaluator(truth, rows)
    evaluator.accumulate()
    return evaluator


def _evaluator(known: GroundTruth, rows: Sequence[CocoResult]) -> "vernier.COCOeval":
    import vernier  # noqa: PLC0415 - optional

    truth = known.for_masks
    found = [
        {
            "id": number,
            "image_id": row["image_id"],
            "category_id": row["category_id"],
            "score": row["score"],
            "segmentation": row["segmentation"],
            "bbox": list(tight_box(row["segmentation"])),
            "area": mask_area(row["segmentation"]),
        }
        for number, row in enumerate(rows, start=1)
    ]
    detections = {**truth.tree, "annotations": found}
    evaluator = vernier.COCOeval(_CocoObject(truth.tree), _CocoObject(detections), "boundary")
    evaluator.evaluate()
    return evaluator


def boundary_matches(truth: GroundTruth, rows: Sequence[CocoResult]) -> dict[int, ClassMatches]:
    """The library's matches of every class by category id, over objects of all sizes."""

    def records(chunk: GroundTruth, chunk_rows: Sequence[CocoResult]) -> Records:
        return _evaluator(chunk, chunk_rows).evalImgs

    return class_matches(truth, rows, records)
