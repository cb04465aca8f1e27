"""Boundary AP by the library behind our names. `vernier` is imported here and nowhere else.

Two masks are compared only in a band along their contours, 2 % of the photo's diagonal wide, so that a large object
with a ragged edge is not forgiven for its inside. The IoU that counts is the smaller of mask IoU and boundary IoU.
On a crowd, whose contour is nobody's, mask IoU alone decides what is excused.
Source: Cheng et al., "Boundary IoU", CVPR 2021.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import vernier

from clothseg.evaluation.matches import ClassMatches, Records, class_matches
from clothseg.evaluation.truth import GroundTruth, Row
from clothseg.instances import mask_area, tight_box


@dataclass(frozen=True)
class _Rows:
    """What the library wants to see of a COCO object."""

    dataset: Mapping[str, Any]

    def getImgIds(self) -> list[int]:  # noqa: N802 - the library's name
        """Ids of the photos."""
        return [image["id"] for image in self.dataset["images"]]

    def getCatIds(self) -> list[int]:  # noqa: N802 - the library's name
        """Ids of the classes."""
        return [category["id"] for category in self.dataset["categories"]]


def run_boundary(truth: GroundTruth, rows: Sequence[Row]) -> vernier.COCOeval:
    """The library's evaluator for boundaries, matched and accumulated; `rows` are checked results with masks."""
    evaluator = _evaluator(truth, rows)
    evaluator.accumulate()
    return evaluator


def _evaluator(truth: GroundTruth, rows: Sequence[Row]) -> vernier.COCOeval:
    found = [
        {"id": number, "bbox": list(tight_box(row["segmentation"])), "area": mask_area(row["segmentation"])}
        | {key: row[key] for key in ("image_id", "category_id", "score", "segmentation")}
        for number, row in enumerate(rows, start=1)
    ]
    evaluator = vernier.COCOeval(_Rows(truth.tree), _Rows(truth.tree | {"annotations": found}), "boundary")
    evaluator.evaluate()
    return evaluator


def boundary_matches(truth: GroundTruth, rows: Sequence[Row]) -> dict[int, ClassMatches]:
    """The library's matches of every class by category id, over objects of all sizes."""

    def records(some_truth: GroundTruth, some_rows: Sequence[Row]) -> Records:
        return _evaluator(some_truth, some_rows).evalImgs

    return class_matches(truth, rows, records)
