"""The outlines of masks, with few points."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from clothseg.instances import Rle, decode, tight_box
from clothseg.pictures.outlines import mask_contours

LONG_SIDE = 1024
"""Steps of the grid on which outlines and boxes lie, on a picture's long side."""
_TOLERANCE = 0.75  # steps of the grid
_FARTHEST = 1e6  # pixels
_LEAST = 0.5  # pixels: outlines need not follow the edges of pixels


def grid_scale(width: int, height: int) -> float:
    """Steps of the grid in a pixel of a picture."""
    return LONG_SIDE / max(width, height, 1)


def mask_outlines(rle: Rle) -> list[NDArray[np.float64]]:
    """The contours of a mask and of its holes: rings `[N, 2]` x y in pixels, with few points."""
    x, y, width, height = (int(side) for side in tight_box(rle))
    part = decode(rle)[y : y + height, x : x + width]
    if not part.size:
        return []
    rings = (thin_out(edge[:, 0], rle["size"][1], rle["size"][0]) for edge in mask_contours(part))
    return [ring + np.array([x + 0.5, y + 0.5]) for ring in rings if len(ring) > 2]


def thin_out(points: NDArray[Any], width: int, height: int) -> NDArray[np.float64]:
    """A ring `[N, 2]` with fewer points, on a picture of this size: less than a step of the grid, or a pixel, off."""
    tolerance = max(_TOLERANCE / grid_scale(width, height), _LEAST)
    near = np.clip(points, -_FARTHEST, _FARTHEST).astype(np.float32)
    return np.asarray(cv2.approxPolyDP(near[:, None], tolerance, True)[:, 0], dtype=np.float64)
