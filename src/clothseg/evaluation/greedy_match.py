"""Greedy matching of detections and objects on one photo: the highest score chooses first."""

import numpy as np
from numpy.typing import NDArray


def greedy_match(iou: NDArray[np.float64], allowed: NDArray[np.bool_], minimum: float) -> NDArray[np.int64]:
    """Matches each detection, in order, with the free object that it overlaps most.

    Args:
        iou: `[D, G]`, IoU of each detection with each object; detections by falling score.
        allowed: `[D, G]`, the pairs that may match, such as those of one class.
        minimum: lowest IoU of a match, 0 or more.

    Returns:
        `[D]`, the object of each detection, or -1. Of equal IoUs the first object is taken.
    """
    matched = np.full(len(iou), -1, dtype=np.int64)
    free = np.ones(iou.shape[1], dtype=np.bool_)
    for position in range(len(iou)):
        candidates = np.where(allowed[position] & free, iou[position], -1.0)
        if candidates.size and candidates.max() >= minimum:
            matched[position] = candidates.argmax()
            free[matched[position]] = False
    return matched
