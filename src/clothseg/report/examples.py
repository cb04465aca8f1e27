"""Examples of errors: a few of each kind, cut out of their photos, with ground truth and detection drawn."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clothseg.errors import PhotoError
from clothseg.evaluation.error_kinds import DetectionError, detection_errors
from clothseg.evaluation.truth import GroundTruth
from clothseg.instances import CocoImage, CocoResult, Instances, PixelMasks, mask_iou, resize_instances
from clothseg.photos import RgbImage
from clothseg.pictures import draw_instances
from clothseg.pictures.embed import shrink
from clothseg.pictures.outlines import draw_lines, mask_contours
from clothseg.report.figures import EmbeddedPhoto, photo_uri, read_sized_photo
from clothseg.report.reading import results_by_photo, to_instances

_AREA = 110_000  # pixels of a picture
_MARGIN = 0.15  # around the boxes, as a fraction of the larger side
_MIN_SIDE = 0.3  # of a cut-out, as a fraction of the photo's shorter side, so that the surroundings are visible
_ASPECT = 1.25  # height over width of a picture, unless the photo is too small


@dataclass(frozen=True)
class ErrorExample:
    """One error: its picture, what it is in a few words, and the file of its photo."""

    photo: EmbeddedPhoto
    caption: str
    name: str


@dataclass(frozen=True)
class ErrorExamples:
    """Errors of one kind: their number above a score threshold, and some of them as pictures."""

    count: int
    shown: list[ErrorExample]


@dataclass(frozen=True)
class _Error:
    """An error with its photo, its detection and its object (each at most one); high weights are shown first."""

    error: DetectionError
    image: CocoImage
    found: Instances
    truth: Instances
    weight: float


def error_examples(
    truth: GroundTruth, predictions: Sequence[CocoResult], images: Path, *, threshold: float, wanted: int = 4
) -> tuple[dict[str, ErrorExamples], list[str]]:
    """The errors of each kind with the highest score, or the largest missed objects.

    A photo occurs once for a kind, as long as there are enough other photos.

    Args:
        truth: the ground truth.
        predictions: COCO results with masks.
        images: folder of the photos.
        threshold: only detections with at least this score count.
        wanted: examples of each kind.

    Returns:
        The kinds that occur, and the names of photos that cannot be read.
    """
    examples, unread = {}, []
    for kind, errors in _errors_by_kind(truth, predictions, threshold).items():
        shown = []
        for error in _choose(errors, wanted):
            name = str(error.image.get("file_name", error.image["id"]))
            try:
                whole = read_sized_photo(truth.photo_path(error.image, images), error.truth.size)
                picture = picture_around(whole, error.found, error.truth, truth.names)
            except PhotoError:
                unread.append(name)
                continue
            caption = _caption(error, truth.names)
            photo = EmbeddedPhoto(photo_uri(picture), picture.shape[1], picture.shape[0], caption)
            shown.append(ErrorExample(photo, caption, name))
        examples[kind] = ErrorExamples(len(errors), shown)
    return examples, unread


def _errors_by_kind(truth: GroundTruth, predictions: Sequence[CocoResult], threshold: float) -> dict[str, list[_Error]]:
    results = results_by_photo(truth.images, [row for row in predictions if row["score"] >= threshold])
    of_kind: dict[str, list[_Error]] = defaultdict(list)
    masks = truth.for_masks.by_photo
    for image in truth.images:
        rows = sorted(results[image["id"]], key=lambda row: -row["score"])
        found, objects = to_instances(rows, image), to_instances(masks[image["id"]], image)
        crowd = objects.crowd.numpy()
        iou = mask_iou(found.masks.rle(), objects.masks.rle(), crowd.tolist())
        for error in detection_errors(iou, found.classes.numpy(), objects.classes.numpy(), crowd):
            one = found[:0] if error.detection is None else found[error.detection : error.detection + 1]
            other = objects[:0] if error.object is None else objects[error.object : error.object + 1]
            of_kind[error.kind].append(_Error(error, image, one, other, _weight(one, other)))
    return of_kind


def _weight(found: Instances, truth: Instances) -> float:
    """The detection's score, or the area of a missed object's box."""
    if len(found):
        return float(found.scores[0])
    x1, y1, x2, y2 = truth.boxes[0].tolist()
    return float((x2 - x1) * (y2 - y1))


def _choose(errors: Sequence[_Error], wanted: int) -> list[_Error]:
    """The errors with the highest weight; a second one of a photo only after the first ones of all others."""
    ranked = sorted(errors, key=lambda e: -e.weight)
    earlier: dict[int, int] = defaultdict(int)
    turns = []
    for error in ranked:
        turns.append(earlier[error.image["id"]])
        earlier[error.image["id"]] += 1
    order = sorted(range(len(ranked)), key=lambda place: turns[place])
    return [ranked[place] for place in order[:wanted]]


def picture_around(photo: RgbImage, found: Instances, truth: Instances, names: Mapping[int, str]) -> RgbImage:
    """The part of a photo around a detection and its object, at least one of which is there.

    The detection is in its colour, the ground truth a white line.
    """
    boxes = np.array([*found.boxes.tolist(), *truth.boxes.tolist()])
    x1, y1, x2, y2 = window(boxes, truth.size)
    part = shrink(photo[y1:y2, x1:x2], _AREA, grow=True)
    size = (part.shape[0], part.shape[1])
    found, truth = (resize_instances(_cropped(instances, (x1, y1, x2, y2)), size) for instances in (found, truth))
    drawn = draw_instances(part, found, names, boxes=False, labels=False)
    return draw_lines(drawn, [], [edge for mask in truth.masks.pixels().numpy() for edge in mask_contours(mask)])


def window(boxes: NDArray[np.float64], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part x1 y1 x2 y2 of a photo that contains all boxes and some surroundings.

    Args:
        boxes: `[N, 4]` float, x1 y1 x2 y2 in pixels, at least one.
        size: height and width of the photo.
    """
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    sides = (high - low) * (1 + 2 * _MARGIN)
    width = max(sides[0], sides[1] / _ASPECT, _MIN_SIDE * min(size))
    wanted = np.array([width, width * _ASPECT])
    photo = np.array(size[::-1], dtype=np.float64)
    wanted = np.minimum(wanted, photo)
    first = np.clip((low + high - wanted) / 2, 0, photo - wanted)
    (x1, y1), (x2, y2) = np.floor(first).astype(int).tolist(), np.ceil(first + wanted).astype(int).tolist()
    return x1, y1, min(x2, size[1]), min(y2, size[0])


def _cropped(instances: Instances, part: tuple[int, int, int, int]) -> Instances:
    x1, y1, x2, y2 = part
    boxes = instances.boxes - instances.boxes.new_tensor([x1, y1, x1, y1])
    masks = PixelMasks(instances.masks.pixels()[:, y1:y2, x1:x2])
    return replace(instances, size=masks.size, boxes=boxes, masks=masks)


def _caption(shown: _Error, names: Mapping[int, str]) -> str:
    """What is wrong, in a few words."""
    found, truth = (
        [names.get(int(class_id), f"class {class_id}") for class_id in side.classes]
        for side in (shown.found, shown.truth)
    )
    if not found:
        return f"{truth[0]}, not found"
    label, iou = f"{found[0]} {float(shown.found.scores[0]):.2f}", f"IoU {math.floor(100 * shown.error.iou)} %"
    if shown.error.kind == "background":
        return f"{label}, but there is no object"
    if shown.error.kind == "location":
        return f"{label}, only {iou}"
    if shown.error.kind == "duplicate":
        return f"{label}, found twice; {iou}"
    return f"{label}, but it is {truth[0]}; {iou}"
