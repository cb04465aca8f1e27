"""From a class for each pixel to instances, with NumPy and OpenCV; the arithmetic of `networks/deeplab`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clothseg.exported.metadata import ExportMetadata
from clothseg.instances.array_masks import LabelArrayMasks
from clothseg.instances.arrays import ArrayInstances
from clothseg.instances.connected import connected_parts


@dataclass(frozen=True)
class Groups:
    """The instances on the resized photo, in any order.

    Attributes:
        ids: `[h, w]` integer, the row of each pixel's instance plus 1; 0 where none is.
        classes: `[N]` int64.
        scores: `[N]` float32 in 0..1.
        areas: `[N]` int64, in pixels.
        boxes: `[N, 4]` float32, x1 y1 x2 y2, around the pixels.
        probabilities: `[h, w]` float32, of each pixel's own class.
    """

    ids: NDArray[np.integer]
    classes: NDArray[np.int64]
    scores: NDArray[np.float32]
    areas: NDArray[np.int64]
    boxes: NDArray[np.float32]
    probabilities: NDArray[np.float32]


def instances_by_connection(
    outputs: Mapping[str, NDArray[Any]], size: tuple[int, int], metadata: ExportMetadata
) -> ArrayInstances:
    """Connected parts of a class, from `labels` and `probabilities` `[h, w]`; see `group_by_connection`."""
    labels, probabilities = outputs["labels"], outputs["probabilities"]
    parts, rows = connected_parts(labels, metadata.options["connectivity"])
    sums = np.bincount(parts.ravel(), probabilities.astype(np.float64).ravel(), len(rows) + 1)[1:]
    label, x, y, width, height, area = rows.astype(np.int64).T
    boxes = np.stack([x, y, x + width, y + height], axis=1).astype(np.float32)
    scores = (sums / area.clip(min=1)).astype(np.float32)
    return choose(Groups(parts, label, scores, area, boxes, probabilities), outputs["placement"], size, metadata)


def choose(
    groups: Groups, placement: NDArray[np.int64], size: tuple[int, int], metadata: ExportMetadata
) -> ArrayInstances:
    """The instances that are large and certain enough, the best first.

    Args:
        groups: on the resized photo.
        placement: top, left, height and width of the resized photo in the input, height and width of the input.
        size: height and width of the photo.
        metadata: thresholds and limits.
    """
    options = metadata.options
    enough = (groups.areas >= max(1, options["min_area"])) & (groups.scores >= np.float32(metadata.score_threshold))
    kept = np.flatnonzero(enough)
    order = kept[np.argsort(-groups.scores[kept], kind="stable")][: options["max_detections"]]
    boxes = _on_photo(groups.boxes[order], placement, size, options["whole_boxes"])
    seen = np.flatnonzero((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
    numbers = np.zeros(len(groups.classes) + 1, dtype=np.int64)
    numbers[order + 1] = np.arange(1, len(order) + 1)
    # The grid covers the resized photo alone, and its edge repeats beyond: as if the padding repeated it.
    grid = LabelArrayMasks(boxes, size, numbers[groups.ids], groups.probabilities, np.arange(1, len(order) + 1))
    found = ArrayInstances(size, boxes, groups.classes[order], groups.scores[order], grid)
    return found[seen]


def _on_photo(
    boxes: NDArray[np.float32], placement: NDArray[np.int64], size: tuple[int, int], whole: str
) -> NDArray[np.float32]:
    """Boxes from pixels of the resized photo to those of the photo, clipped."""
    height, width = placement[2:4].tolist()
    y, x = size[0] / height, size[1] / width
    placed = boxes * np.array([x, y, x, y], dtype=np.float32)
    if whole != "no":
        placed = np.rint(placed) if whole == "round" else np.trunc(placed)
    limits = np.array([size[1], size[0]] * 2, dtype=np.float32)
    return np.asarray(placed.clip(0, limits), dtype=np.float32)
