"""`report_mAP`: the report's protocol, which is not COCO's. Each photo is judged alone, and the photos are averaged.

For a photo: detections of at least the minimum confidence, all classes in one ranking by score; from the best on, each
takes the free object of its own class that it overlaps most, if their masks have IoU of 0.5 or more. Precision over
recall of that ranking, made falling, is summed over the steps of recall: the photo's AP. The figure is the mean AP.

Decisions where the protocol is silent, or its first implementation was wrong:

- The first detection takes its object away like every other (there, position 0 counted as "free").
- Equal scores keep the order of the results (there, sorting turned it round).
- A photo without objects has no recall, so it is left out of the mean (there, it made the mean NaN). What is found on
  such photos is counted apart.
- A photo with objects on which nothing is found counts as 0.
- A crowd is no object. A detection without an object that lies on a crowd of its class by half is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clothseg.evaluation.matches import some_photos
from clothseg.evaluation.truth import GroundTruth, Row
from clothseg.instances import mask_iou

IOU = 0.5


@dataclass(frozen=True)
class PerImageAP:
    """AP of each photo by the report's protocol.

    Attributes:
        values: `[P]` float in the order of `GroundTruth.photos`; NaN for a photo without objects.
    """

    values: NDArray[np.float64]

    @property
    def judged(self) -> int:
        """Photos with objects."""
        return int(np.count_nonzero(~np.isnan(self.values)))

    def mean(self, photo_counts: NDArray[np.int64] | None = None) -> float | None:
        """The mean over photos with objects, each counted `photo_counts` `[P]` times; None without any."""
        counted = ~np.isnan(self.values)
        weights = np.ones(len(self.values)) if photo_counts is None else photo_counts
        total = float(weights[counted].sum())
        return float(self.values[counted] @ weights[counted]) / total if total else None


def per_image_ap(truth: GroundTruth, rows: Sequence[Row], score_threshold: float) -> PerImageAP:
    """AP of every photo; `rows` are checked results with masks."""
    values = []
    for some_truth, some_rows in some_photos(truth, rows):
        objects: dict[int, list[Row]] = {photo: [] for photo in some_truth.photos}
        found: dict[int, list[Row]] = {photo: [] for photo in some_truth.photos}
        for row in some_truth.annotations:
            objects[row["image_id"]].append(row)
        for row in some_rows:
            if row["score"] >= score_threshold:
                found[row["image_id"]].append(row)
        values += [_of_photo(objects[photo], found[photo]) for photo in some_truth.photos]
    return PerImageAP(np.asarray(values, dtype=np.float64))


def _of_photo(objects: Sequence[Row], found: Sequence[Row]) -> float:
    crowd = np.array([bool(row["iscrowd"]) for row in objects], dtype=np.bool_)
    if not (~crowd).any():
        return float("nan")
    order = np.argsort([-row["score"] for row in found], kind="stable")
    ranked = [found[position] for position in order]
    overlap = mask_iou(
        [row["segmentation"] for row in ranked], [row["segmentation"] for row in objects], crowd.tolist()
    )
    classes = np.array([row["category_id"] for row in objects])
    found_classes = np.array([row["category_id"] for row in ranked])
    return average_precision(*match(overlap, found_classes, classes, crowd), int((~crowd).sum()))


def match(
    overlap: NDArray[np.float64], found: NDArray[np.int64], classes: NDArray[np.int64], crowd: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which detections, best first, hit an object, and which are judged at all.

    Args:
        overlap: `[D, G]` IoU of detections and objects.
        found: `[D]` classes of the detections.
        classes: `[G]` classes of the objects.
        crowd: `[G]` which of them are crowds.

    Returns:
        `[D]` and `[D]` bool.
    """
    hits, judged = np.zeros(len(found), dtype=np.bool_), np.ones(len(found), dtype=np.bool_)
    free = ~crowd
    for position, class_id in enumerate(found):
        gains = np.where(free & (classes == class_id), overlap[position], -1.0)
        best = int(gains.argmax())
        if gains[best] >= IOU:
            hits[position], free[best] = True, False
        else:
            judged[position] = not (overlap[position][crowd & (classes == class_id)] >= IOU).any()
    return hits, judged


def average_precision(hits: NDArray[np.bool_], judged: NDArray[np.bool_], objects: int) -> float:
    """Area under precision over recall, precision made falling; `hits` and `judged` as `match` gives them."""
    right = np.cumsum(hits[judged])
    precision = right / np.arange(1, len(right) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    gained = np.diff(right, prepend=0)
    return float(falling @ gained) / objects
