"""Instances whose pixels point to the same center, with NumPy; the arithmetic of `networks/deeplab/instances.py`.

Source: Cheng et al., Panoptic-DeepLab (2020), section 3.4.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clothseg.exported.grouping import Groups, choose
from clothseg.exported.metadata import ExportMetadata
from clothseg.instances.arrays import ArrayInstances


def instances_by_centers(
    outputs: Mapping[str, NDArray[Any]], size: tuple[int, int], metadata: ExportMetadata
) -> ArrayInstances:
    """Pixels that point to the same center; see `group_by_centers`.

    `outputs` has `log_probabilities` `[K + 1, h, w]`, `heat` `[h, w]`, `peaks` `[h, w]`, which is `heat` where it is
    above the threshold and the highest in its window and -1 elsewhere, and `offsets` `[2, h, w]`, y and x, in pixels.
    """
    logs, heat = outputs["log_probabilities"], outputs["heat"]
    labels = logs.argmax(axis=0)
    points = _centers(outputs["peaks"], metadata.options["top_k"])
    ids = np.where(labels > 0, _nearest(points, outputs["offsets"]), 0)
    count, flat = len(points), ids.ravel()
    votes = np.bincount(flat * len(logs) + labels.ravel(), minlength=(count + 1) * len(logs)).reshape(count + 1, -1)
    classes, areas = votes.argmax(axis=1), votes.sum(axis=1)
    own = np.exp(np.take_along_axis(logs, classes[ids][None], axis=0)[0])
    y, x = np.indices(ids.shape).reshape(2, -1)
    divisor = areas.clip(min=1)
    middle = [np.bincount(flat, side, count + 1).astype(np.int64) // divisor for side in (y, x)]
    means = np.bincount(flat, own.ravel().astype(np.float64), count + 1) / divisor
    scores = (means * heat[middle[0], middle[1]]).clip(0, 1).astype(np.float32)
    boxes = _boxes(flat, y, x, count)
    groups = Groups(ids, classes[1:], scores[1:], areas[1:], boxes[1:], own.astype(np.float32))
    return choose(groups, outputs["placement"], size, metadata)


def _centers(peaks: NDArray[np.float32], top_k: int) -> NDArray[np.int64]:
    """The peaks `[N, 2]`, y and x, in the order of rows; with `top_k` or more, those as low as the last one go."""
    values = peaks.ravel()
    places = np.flatnonzero(values > 0)
    if values.size and len(places) >= min(top_k, values.size):
        last = np.sort(values[places])[-min(top_k, values.size)]
        places = places[values[places] > last]
    return np.stack(np.divmod(places, peaks.shape[1]), axis=1)


def _nearest(points: NDArray[np.int64], offsets: NDArray[np.float32]) -> NDArray[np.int64]:
    """The row, plus 1, of the center nearest to where each pixel points: `[h, w]`; 0 without any."""
    height, width = offsets.shape[1:]
    target_y = offsets[0] + np.arange(height, dtype=np.float32)[:, None]
    target_x = offsets[1] + np.arange(width, dtype=np.float32)
    best = np.full((height, width), np.inf, dtype=np.float32)
    nearest = np.zeros((height, width), dtype=np.int64)
    for row, (y, x) in enumerate(points.astype(np.float32), start=1):
        distance = np.sqrt(np.square(y - target_y) + np.square(x - target_x))
        nearer = distance < best
        nearest[nearer], best[nearer] = row, distance[nearer]
    return nearest


def _boxes(flat: NDArray[np.int64], y: NDArray[np.int64], x: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """The boxes `[count + 1, 4]` around the pixels of each row; of no pixels they are of no use."""
    low, high = np.full((2, count + 1), np.iinfo(np.int32).max), np.zeros((2, count + 1), dtype=np.int64)
    for axis, places in enumerate((y, x)):
        np.minimum.at(low[axis], flat, places)
        np.maximum.at(high[axis], flat, places + 1)
    return np.stack([low[1], low[0], high[1], high[0]], axis=1).astype(np.float32)
