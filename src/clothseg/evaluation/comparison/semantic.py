"""Scores instances as a label map: the mean IoU (mIoU) of the classes, the usual metric of semantic segmentation.

A network that only says which pixels belong to which class is at home here. The rules:

- Detections with a score of at least a threshold are painted into one map of classes. Where they overlap, the highest
  score is on top; of equal scores, the first.
- The objects are painted too. Where they overlap, the smallest is on top.
- Pixels of crowds that no object has are left out.
- Background is a class like the others, as in PASCAL VOC.
- The IoU of a class is that of all its pixels on all photos together. The mIoU is the mean over the classes that have
  pixels in the ground truth.

Source: Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective" (2015), section 2.2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clothseg.evaluation.matches import photo_chunks
from clothseg.evaluation.truth import GroundTruth
from clothseg.instances import CocoAnnotation, CocoResult, decode, mask_area

METRIC = "semantic_mIoU"
IGNORED = -1
"""The class of a pixel that does not count."""
LabelMap = NDArray[np.int64]


@dataclass(frozen=True)
class SemanticCounts:
    """How the label maps of detections and of objects agree, pixel by pixel.

    Attributes:
        both: `[P, K+1]` int, pixels of each photo that have a class in both maps; class 0 is background.
        truth: `[P, K+1]` int, pixels of the class in the ground truth.
        found: `[P, K+1]` int, pixels of the class in the detections.
    """

    both: NDArray[np.int64]
    truth: NDArray[np.int64]
    found: NDArray[np.int64]

    def iou(self, photo_counts: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """`[K+1]` IoU of each class, background first; NaN for a class without pixels in the ground truth.

        Args:
            photo_counts: `[S, P]` int, how often each photo counts in each sample, for `[S, K+1]`; by default once.
        """
        weights = np.ones(len(self.truth), dtype=np.int64) if photo_counts is None else photo_counts
        both, truth, found = (weights @ part for part in (self.both, self.truth, self.found))
        return np.where(truth > 0, both / np.maximum(truth + found - both, 1), np.nan)

    def of(self, photo_counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """`semantic_mIoU` `[S]` if photo p counts `photo_counts[s, p]` times; NaN where no pixel counts."""
        iou = self.iou(photo_counts)
        classes = (~np.isnan(iou)).sum(axis=1)
        return {METRIC: np.where(classes > 0, np.nansum(iou, axis=1) / np.maximum(classes, 1), np.nan)}


def semantic_counts(truth: GroundTruth, rows: Sequence[CocoResult], score_threshold: float) -> SemanticCounts:
    """Compares the label maps of all photos.

    Args:
        truth: the ground truth; what is in the box of an object without a mask does not count, as on a crowd.
        rows: checked results with masks.
        score_threshold: detections with a lower score are not painted.
    """
    numbers = {class_id: number for number, class_id in enumerate(truth.names, start=1)}
    both, true, painted = (np.zeros((len(truth.photos), len(numbers) + 1), dtype=np.int64) for _ in range(3))
    position = 0
    for chunk, chunk_rows in photo_chunks(truth.for_masks, rows):
        found: dict[int, list[CocoResult]] = {photo: [] for photo in chunk.photos}
        for row in chunk_rows:
            if row["score"] >= score_threshold:
                found[row["image_id"]].append(row)
        for photo in chunk.photos:
            theirs = truth_map(chunk.by_photo[photo], chunk.sizes[photo], numbers)
            counted = theirs != IGNORED
            ours, theirs = found_map(found[photo], chunk.sizes[photo], numbers)[counted], theirs[counted]
            for part, pixels in ((both, theirs[theirs == ours]), (true, theirs), (painted, ours)):
                part[position] = np.bincount(pixels, minlength=len(numbers) + 1)
            position += 1
    return SemanticCounts(both, true, painted)


def found_map(rows: Sequence[CocoResult], size: tuple[int, int], numbers: Mapping[int, int]) -> LabelMap:
    """The class of each pixel, `[H, W]`, by the detections of one photo; 0 is background.

    Args:
        rows: the detections, all with a mask.
        size: height and width of the photo.
        numbers: the number of each category id, from 1.
    """
    canvas = np.zeros(size, dtype=np.int64)
    order = np.argsort([-row["score"] for row in rows], kind="stable")
    for row in (rows[place] for place in reversed(order)):
        canvas[decode(row["segmentation"])] = numbers[row["category_id"]]
    return canvas


def truth_map(rows: Sequence[CocoAnnotation], size: tuple[int, int], numbers: Mapping[int, int]) -> LabelMap:
    """The same by the annotations of the photo; `IGNORED` where only a crowd is."""
    canvas = np.zeros(size, dtype=np.int64)
    for row in sorted(rows, key=lambda row: (not row["iscrowd"], -mask_area(row["segmentation"]))):
        canvas[decode(row["segmentation"])] = IGNORED if row["iscrowd"] else numbers[row["category_id"]]
    return canvas
