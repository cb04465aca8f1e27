"""The objects of one photo as arrays, for whoever draws or counts them without torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clothseg.errors import DataError
from clothseg.instances import CocoAnnotation, Rle, empty_rle, from_segmentation, is_box_only, tight_box


@dataclass(frozen=True)
class LabelledObjects:
    """The ground truth of one photo.

    Attributes:
        size: height and width of the photo in pixels.
        boxes: `[N, 4]` float32, x1 y1 x2 y2 in pixels, tight around the masks.
        classes: `[N]` int64, 1..K.
        crowd: `[N]` bool.
        has_mask: `[N]` bool; False for an object that has only a box.
        masks: N masks as run lengths; without a pixel where there is no mask.
    """

    size: tuple[int, int]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    has_mask: NDArray[np.bool_]
    masks: Sequence[Rle]


def labelled_objects(
    annotations: Iterable[tuple[int, CocoAnnotation]], size: tuple[int, int], file: Path
) -> LabelledObjects:
    """The objects of a photo. Annotations without a pixel are skipped.

    An object without a mask has the box of its annotation, cut at the edges of the photo.

    Args:
        annotations: the class 1..K of each, and its row.
        size: height and width of the photo.
        file: of the annotations, for messages.

    Raises:
        DataError: a segmentation cannot be read. The message names file and annotation.
    """
    masks: list[Rle] = []
    boxes, classes, crowd, has_mask = [], [], [], []
    for class_id, annotation in annotations:
        box_only = is_box_only(annotation)
        try:
            rle = empty_rle(size) if box_only else from_segmentation(annotation["segmentation"], *size)
            box = _inside(annotation.get("bbox"), size) if box_only else tight_box(rle)
        except DataError as error:
            raise DataError(f"{file}: annotation {annotation.get('id')}: {error}") from error
        if box[2] and box[3]:
            masks.append(rle)
            boxes.append(box)
            classes.append(class_id)
            crowd.append(bool(annotation.get("iscrowd", 0)))
            has_mask.append(not box_only)
    corners = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    return LabelledObjects(
        size, corners, np.array(classes, dtype=np.int64), np.array(crowd, dtype=np.bool_),
        np.array(has_mask, dtype=np.bool_), masks,
    )  # fmt: skip


def _inside(box: Sequence[float] | None, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The part of a box x y width height that is on a photo of `size`.

    Raises:
        DataError: there is no box.
    """
    if box is None or len(box) != 4:
        raise DataError("it has neither a segmentation nor a bbox; give it one of them")
    x, y, width, height = box
    left, top = max(x, 0), max(y, 0)
    return left, top, max(min(x + width, size[1]) - left, 0), max(min(y + height, size[0]) - top, 0)
