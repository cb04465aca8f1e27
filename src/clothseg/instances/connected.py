"""Connected parts of the classes on a grid."""

import cv2
import numpy as np
from numpy.typing import NDArray


def connected_parts(labels: NDArray[np.integer], connectivity: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Numbers the connected parts of each class.

    Args:
        labels: `[h, w]`, the class of each pixel; 0 is background.
        connectivity: 4 or 8.

    Returns:
        parts `[h, w]`, from 1, 0 for background, and for each part its class, x, y, width, height and area `[N, 6]`.
    """
    parts, rows, count = np.zeros(labels.shape, np.int32), [np.zeros((0, 6), np.int32)], 0
    for label in np.flatnonzero(np.bincount(labels.ravel(), minlength=1)):
        if label == 0:
            continue
        found, numbers, stats, _ = cv2.connectedComponentsWithStats(
            (labels == label).astype(np.uint8), connectivity=connectivity
        )
        parts += np.where(numbers > 0, numbers + count, 0).astype(np.int32)
        rows.append(np.column_stack([np.full(found - 1, label, np.int32), stats[1:]]))
        count += found - 1
    return parts, np.concatenate(rows)
