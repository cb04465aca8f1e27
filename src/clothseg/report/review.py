"""Masks on validation photos that a person should look at: their calibrated score is neither high nor low."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clothseg.errors import PhotoError
from clothseg.evaluation.truth import GroundTruth
from clothseg.instances import CocoImage, CocoResult, Instances, mask_iou
from clothseg.instances.calibration import REVIEW, needs_review
from clothseg.report.examples import ErrorExample, picture_around
from clothseg.report.figures import EmbeddedPhoto, photo_uri, read_sized_photo
from clothseg.report.reading import results_by_photo, to_instances

GOOD_IOU = 0.75


@dataclass(frozen=True)
class ReviewList:
    """The marked masks, and how many of the bad ones the marks find.

    Attributes:
        lowest, highest: limits of the scores of marked masks.
        masks: number of masks with a score of at least `lowest`.
        marked: how many of these are marked.
        bad: how many of these have an IoU below `GOOD_IOU` with every object of their class.
        bad_marked: how many of the bad ones are marked.
        shown: pictures of marked masks, the lowest score first.
    """

    lowest: float
    highest: float
    masks: int
    marked: int
    bad: int
    bad_marked: int
    shown: list[ErrorExample]


@dataclass(frozen=True)
class _Judged:
    """A mask with its photo, the nearest object of its class (or none), and their IoU."""

    image: CocoImage
    found: Instances
    truth: Instances
    iou: float
    score: float


def review_list(
    truth: GroundTruth, predictions: Sequence[CocoResult], images: Path, *, wanted: int = 8
) -> tuple[ReviewList, list[str]]:
    """The masks to look at.

    Args:
        truth: the ground truth.
        predictions: COCO results with calibrated scores.
        images: folder of the photos.
        wanted: number of pictures.

    Returns:
        The list, and the names of photos that cannot be read.
    """
    judged = _judged(truth, predictions)
    marked = [one for one in judged if needs_review(one.score)]
    bad = [one for one in judged if one.iou < GOOD_IOU]
    shown: list[ErrorExample] = []
    unread: list[str] = []
    for one in sorted(marked, key=lambda one: one.score):
        if len(shown) == wanted:
            break
        name = str(one.image.get("file_name", one.image["id"]))
        try:
            photo = read_sized_photo(truth.photo_path(one.image, images), one.truth.size)
        except PhotoError:
            unread.append(name)
            continue
        picture = picture_around(photo, one.found, one.truth, truth.names)
        label = truth.names[int(one.found.classes[0])]
        caption = f"{label} {one.score:.2f}, IoU {math.floor(100 * one.iou)} %"
        embedded = EmbeddedPhoto(photo_uri(picture), picture.shape[1], picture.shape[0], caption)
        shown.append(ErrorExample(embedded, caption, name))
    bad_marked = sum(needs_review(one.score) for one in bad)
    return ReviewList(*REVIEW, len(judged), len(marked), len(bad), bad_marked, shown), unread


def _judged(truth: GroundTruth, predictions: Sequence[CocoResult]) -> list[_Judged]:
    """The masks with a score that can be marked, or a higher one."""
    results = results_by_photo(truth.images, [row for row in predictions if row["score"] >= REVIEW[0]])
    judged = []
    for image in truth.images:
        rows = [row for row in results[image["id"]] if row.get("segmentation")]
        found = to_instances(rows, image)
        objects = to_instances([a for a in truth.by_photo[image["id"]] if not a["iscrowd"]], image)
        iou = mask_iou(found.masks.rle(), objects.masks.rle())
        for place, row in enumerate(rows):
            same = (objects.classes == row["category_id"]).nonzero()[:, 0].tolist()
            nearest = max(same, key=lambda other: float(iou[place, other]), default=-1)
            overlap = float(iou[place, nearest]) if nearest >= 0 else 0.0
            other = objects[nearest : nearest + 1] if overlap > 0 else objects[:0]
            judged.append(_Judged(image, found[place : place + 1], other, overlap, float(row["score"])))
    return judged
