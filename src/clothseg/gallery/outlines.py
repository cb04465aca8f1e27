"""The outlines of masks, with few points."""

import cv2
import numpy as np
from numpy.typing import NDArray

from clothseg.instances import Rle, decode, tight_box
from clothseg.pictures.outlines import mask_contours

LONG_SIDE = 1024
"""Steps of the grid on which outlines and boxes lie, on a picture's long side; a smaller picture has its pixels."""


def grid_scale(width: int, height: int) -> float:
    """Steps of the grid in a pixel of a picture: 1 or less."""
    return min(LONG_SIDE / max(width, height, 1), 1.0)


def mask_outlines(rle: Rle) -> list[NDArray[np.float64]]:
    """The contours of a mask and of its holes: rings `[N, 2]` x y in pixels, at most half a step of the grid off."""
    x, y, width, height = (int(side) for side in tight_box(rle))
    part = decode(rle)[y : y + height, x : x + width]
    if not part.size:
        return []
    tolerance = 0.75 / grid_scale(rle["size"][1], rle["size"][0])
    rings = (cv2.approxPolyDP(edge, tolerance, True)[:, 0] for edge in mask_contours(part))
    return [ring + np.array([x + 0.5, y + 0.5]) for ring in rings if len(ring) > 2]
