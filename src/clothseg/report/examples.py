"""Mistakes to look at: for each kind a few, cut out of their photos, with truth and detection drawn over each other."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clothseg.errors import PhotoError
from clothseg.evaluation.error_kinds import DetectionError, detection_errors
from clothseg.instances import Instances, PixelMasks, mask_iou, resize_instances
from clothseg.photos import read_photo
from clothseg.pictures import draw_instances
from clothseg.pictures.embed import shrink
from clothseg.pictures.outlines import draw_lines, mask_contours
from clothseg.report.figures import EmbeddedPhoto, photo_uri
from clothseg.report.reading import Row, Truth, by_photo, to_instances

_AREA = 110_000  # pixels of a picture
_MARGIN = 0.15  # of the larger side, around what is shown
_LEAST = 0.3  # of the photo's shorter side: more than the object itself, so that one sees where it is
_TALL = 1.25  # height over width of a picture, as far as the photo goes


@dataclass(frozen=True)
class ErrorExample:
    """One mistake: its picture, what it is in a few words, and the file of its photo."""

    photo: EmbeddedPhoto
    caption: str
    name: str


@dataclass(frozen=True)
class _Found:
    """A mistake with its photo and both sides of it; `weight` says how much it is worth showing."""

    mistake: DetectionError
    image: Row
    found: Instances
    truth: Instances
    weight: float


def mistake_examples(
    truth: Truth, predictions: Sequence[Row], images: Path, *, threshold: float, wanted: int = 4
) -> tuple[dict[str, tuple[int, list[ErrorExample]]], list[str]]:
    """For each kind how many mistakes there are from `threshold` on, and the surest of them, or the largest missed.

    Photos are shown once for a kind as long as there are enough others.

    Returns:
        The kinds that occur, and the names of photos that cannot be read.
    """
    of_kind = _mistakes(truth, predictions, threshold)
    examples, unread = {}, []
    for kind, mistakes in of_kind.items():
        shown = []
        for choice in _chosen(mistakes, wanted):
            name = str(choice.image["file_name"])
            try:
                picture = _picture(read_photo(images / name), choice, truth.names)
                caption = _caption(choice, truth.names)
                shown.append(
                    ErrorExample(
                        EmbeddedPhoto(photo_uri(picture), picture.shape[1], picture.shape[0], caption), caption, name
                    )
                )
            except PhotoError:
                unread.append(name)
        examples[kind] = len(mistakes), shown
    return examples, unread


def _mistakes(truth: Truth, predictions: Sequence[Row], threshold: float) -> dict[str, list[_Found]]:
    results = by_photo(truth.images, [row for row in predictions if row["score"] >= threshold])
    of_kind: dict[str, list[_Found]] = defaultdict(list)
    for image in truth.images:
        rows = sorted(results[image["id"]], key=lambda row: -row["score"])
        found, right = to_instances(rows, image), to_instances(truth.by_photo[image["id"]], image)
        crowd = right.crowd.numpy()
        overlap = mask_iou(found.masks.rle(), right.masks.rle(), crowd.tolist())
        for mistake in detection_errors(overlap, found.classes.numpy(), right.classes.numpy(), crowd):
            one = found[:0] if mistake.detection is None else found[mistake.detection : mistake.detection + 1]
            other = right[:0] if mistake.object is None else right[mistake.object : mistake.object + 1]
            of_kind[mistake.kind].append(_Found(mistake, image, one, other, _weight(one, other)))
    return of_kind


def _weight(found: Instances, truth: Instances) -> float:
    if len(found):
        return float(found.scores[0])
    x1, y1, x2, y2 = truth.boxes[0].tolist()
    return float((x2 - x1) * (y2 - y1))


def _chosen(mistakes: Sequence[_Found], wanted: int) -> list[_Found]:
    """Those with the most weight, a second one of a photo only after the first ones of all others."""
    ranked = sorted(mistakes, key=lambda m: -m.weight)
    earlier: dict[int, int] = defaultdict(int)
    turns = []
    for mistake in ranked:
        turns.append(earlier[mistake.image["id"]])
        earlier[mistake.image["id"]] += 1
    order = sorted(range(len(ranked)), key=lambda place: turns[place])
    return [ranked[place] for place in order[:wanted]]


def _picture(photo: NDArray[np.uint8], shown: _Found, names: Mapping[int, str]) -> NDArray[np.uint8]:
    """The part of the photo around a mistake: the detection in its colour, the truth as a white line."""
    if photo.shape[:2] != shown.truth.size:
        raise PhotoError(f"the photo is {photo.shape[:2]}, but its annotations say {shown.truth.size} (height, width)")
    boxes = np.array([*shown.found.boxes.tolist(), *shown.truth.boxes.tolist()])
    x1, y1, x2, y2 = window(boxes, shown.truth.size)
    part = shrink(photo[y1:y2, x1:x2], _AREA, grow=True)
    size = (part.shape[0], part.shape[1])
    found, truth = (
        resize_instances(_cropped(instances, (x1, y1, x2, y2)), size) for instances in (shown.found, shown.truth)
    )
    drawn = draw_instances(part, found, names, boxes=False, labels=False)
    return draw_lines(drawn, [], [edge for mask in truth.masks.pixels().numpy() for edge in mask_contours(mask)])


def window(boxes: NDArray[np.float64], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part x1 y1 x2 y2 of a photo of `size` (height, width) that shows all `boxes` `[N, 4]` with what is around."""
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    sides = (high - low) * (1 + 2 * _MARGIN)
    width = max(sides[0], sides[1] / _TALL, _LEAST * min(size))
    wanted = np.array([width, width * _TALL])
    photo = np.array(size[::-1], dtype=np.float64)
    wanted = np.minimum(wanted, photo)
    first = np.clip((low + high - wanted) / 2, 0, photo - wanted)
    (x1, y1), (x2, y2) = np.floor(first).astype(int).tolist(), np.ceil(first + wanted).astype(int).tolist()
    return x1, y1, min(x2, size[1]), min(y2, size[0])


def _cropped(instances: Instances, part: tuple[int, int, int, int]) -> Instances:
    x1, y1, x2, y2 = part
    boxes = instances.boxes - instances.boxes.new_tensor([x1, y1, x1, y1])
    masks = PixelMasks(instances.masks.pixels()[:, y1:y2, x1:x2])
    return Instances(masks.size, boxes, instances.classes, masks, instances.scores, instances.crowd)


def _caption(shown: _Found, names: Mapping[int, str]) -> str:
    """What went wrong, in a few words."""
    found, truth = (
        [names.get(int(class_id), f"class {class_id}") for class_id in side.classes]
        for side in (shown.found, shown.truth)
    )
    if not found:
        return f"{truth[0]}, not found"
    sure, overlap = f"{found[0]} {float(shown.found.scores[0]):.2f}", f"{math.floor(100 * shown.mistake.overlap)} %"
    if shown.mistake.kind == "background":
        return f"{sure}, but nothing is marked there"
    if shown.mistake.kind == "location":
        return f"{sure}, overlap only {overlap}"
    if shown.mistake.kind == "duplicate":
        return f"{sure}, found before; overlap {overlap}"
    return f"{sure}, but it is {truth[0]}; overlap {overlap}"
