"""`report_mAP`: the report's protocol, which is not COCO's. Each photo is scored alone, then photos are averaged.

For one photo, detections from the score threshold on, of all classes, form one ranking by score. In this order each
takes the free object of its own class that it overlaps most, if the masks have an IoU of 0.5 or more. The photo's AP is
the area under the precision-recall curve of that ranking, with precision made non-increasing. The metric is the mean.

Decisions where the protocol is silent, or where its first implementation was wrong:

- The first detection takes its object like every other one (there, position 0 counted as "free").
- Equal scores keep the order of the results (there, sorting reversed it).
- A photo without objects has no recall, so it is left out of the mean (there, it made the mean NaN). Detections on such
  photos are counted separately.
- A photo with objects and without detections counts as 0.
- A crowd is not an object. A detection without an object is left out if half of it lies on a crowd of its class.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clothseg.evaluation.greedy_match import greedy_match
from clothseg.evaluation.matches import photo_chunks
from clothseg.evaluation.truth import GroundTruth
from clothseg.instances import CocoAnnotation, CocoResult, mask_iou

IOU = 0.5


@dataclass(frozen=True)
class PerImageAP:
    """AP of each photo by the report's protocol.

    Attributes:
        values: `[P]` float in the order of `GroundTruth.photos`; NaN for a photo without objects.
    """

    values: NDArray[np.float64]

    @property
    def photos_with_objects(self) -> int:
        """Number of photos with objects."""
        return int(np.count_nonzero(~np.isnan(self.values)))

    def mean(self) -> float | None:
        """The mean over photos with objects; None if there are none."""
        return float(np.nanmean(self.values)) if self.photos_with_objects else None

    def means(self, photo_counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """`[S]`: the mean in each sample, where photo p counts `photo_counts[s, p]` times; NaN without an object."""
        counted = ~np.isnan(self.values)
        weights = photo_counts[:, counted]
        photos = weights.sum(axis=1)
        return np.where(photos > 0, weights @ self.values[counted] / np.maximum(photos, 1), np.nan)


def per_image_ap(truth: GroundTruth, rows: Sequence[CocoResult], score_threshold: float) -> PerImageAP:
    """AP of every photo; `rows` are checked results with masks."""
    values = []
    for chunk, chunk_rows in photo_chunks(truth.for_masks, rows):
        objects: dict[int, list[CocoAnnotation]] = {photo: [] for photo in chunk.photos}
        found: dict[int, list[CocoResult]] = {photo: [] for photo in chunk.photos}
        for annotation in chunk.annotations:
            objects[annotation["image_id"]].append(annotation)
        for row in chunk_rows:
            if row["score"] >= score_threshold:
                found[row["image_id"]].append(row)
        values += [_ap_of_photo(objects[photo], found[photo]) for photo in chunk.photos]
    return PerImageAP(np.asarray(values, dtype=np.float64))


def _ap_of_photo(objects: Sequence[CocoAnnotation], found: Sequence[CocoResult]) -> float:
    crowd = np.array([bool(row["iscrowd"]) for row in objects], dtype=np.bool_)
    if not (~crowd).any():
        return float("nan")
    order = np.argsort([-row["score"] for row in found], kind="stable")
    ranked = [found[position] for position in order]
    iou = mask_iou([row["segmentation"] for row in ranked], [row["segmentation"] for row in objects], crowd.tolist())
    classes = np.array([row["category_id"] for row in objects], dtype=np.int64)
    found_classes = np.array([row["category_id"] for row in ranked], dtype=np.int64)
    return average_precision(*match(iou, found_classes, classes, crowd), int((~crowd).sum()))


def match(
    iou: NDArray[np.float64], found: NDArray[np.int64], classes: NDArray[np.int64], crowd: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which detections of a photo are right, and which count at all.

    Args:
        iou: `[D, G]` IoU of detections, highest score first, and objects.
        found: `[D]` classes of the detections.
        classes: `[G]` classes of the objects.
        crowd: `[G]` bool, which objects are crowds.

    Returns:
        hits: `[D]` bool, matched to an object.
        counted: `[D]` bool, False for detections on a crowd.
    """
    same_class = found[:, None] == classes[None, :]
    hits = greedy_match(iou, same_class & ~crowd, IOU) >= 0
    on_crowd = ((iou >= IOU) & same_class & crowd).any(axis=1)
    return hits, hits | ~on_crowd


def average_precision(hits: NDArray[np.bool_], counted: NDArray[np.bool_], objects: int) -> float:
    """Area under the precision-recall curve, precision made non-increasing; `hits` and `counted` as from `match`."""
    right = np.cumsum(hits[counted])
    precision = right / np.arange(1, len(right) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    gained = np.diff(right, prepend=0)
    return float(falling @ gained) / objects
