"""Masks and boxes as lines alone: the photo stays as it is inside them."""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from clothseg.instances import Instances
from clothseg.photos import RgbImage
from clothseg.pictures.colours import CROWD, class_colour

Box = tuple[float, float, float, float]
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def draw_outlines(photo: RgbImage, instances: Instances) -> RgbImage:
    """Each box as a black line, each mask's contours as white lines: the manner of the report's Figure 5.

    Args:
        photo: `[H, W, 3]` uint8 RGB.
        instances: on this photo, of size (H, W).

    Returns:
        `[H, W, 3]` uint8; the photo given is not changed.

    Raises:
        ValueError: the instances are of a photo of another size.
    """
    if photo.shape[:2] != instances.size:
        raise ValueError(f"instances of a photo {instances.size} (height, width) on one of {photo.shape[:2]}")
    contours = [edge for mask in instances.masks.pixels().numpy() for edge in mask_contours(mask)]
    boxes = [(float(b[0]), float(b[1]), float(b[2]), float(b[3])) for b in instances.boxes.tolist()]
    return draw_lines(photo, boxes, contours)


def draw_masks(instances: Instances) -> RgbImage:
    """Masks alone in the colours of their classes on black, crowds in grey; small ones over large ones.

    Returns:
        `[H, W, 3]` uint8, H and W being the size of the instances.
    """
    canvas = np.zeros((*instances.size, 3), dtype=np.uint8)
    masks = instances.masks.pixels().numpy()
    for position in np.argsort(-masks.reshape(len(masks), instances.size[0] * instances.size[1]).sum(axis=1)):
        crowd = bool(instances.crowd[position])
        canvas[masks[position]] = CROWD if crowd else class_colour(int(instances.classes[position]))
    return canvas


def draw_lines(photo: RgbImage, boxes: Sequence[Box], contours: Sequence[NDArray[Any]]) -> RgbImage:
    """Boxes in black, closed contours in white, each with a faint rim of the other: seen on any cloth.

    Args:
        photo: `[H, W, 3]` uint8 RGB.
        boxes: x1 y1 x2 y2 in pixels, outer edges; what lies outside the photo is not drawn.
        contours: `[K, 2]` or `[K, 1, 2]` points x y each.
    """
    canvas = np.array(photo, dtype=np.uint8, copy=True, order="C")
    line = max(round(math.sqrt(canvas.shape[0] * canvas.shape[1]) / 220), 1)
    edges = [np.rint(np.asarray(c, dtype=np.float64)).clip(-30_000, 30_000).astype(np.int32) for c in contours]
    frames = [_frame(box) for box in boxes]
    for shapes, colour, rim in ((edges, _WHITE, _BLACK), (frames, _BLACK, _WHITE)):
        under = cv2.polylines(canvas.copy(), shapes, True, rim, thickness=line + 2, lineType=cv2.LINE_AA)
        cv2.addWeighted(under, 0.4, canvas, 0.6, 0, dst=canvas)
        cv2.polylines(canvas, shapes, isClosed=True, color=colour, thickness=line, lineType=cv2.LINE_AA)
    return canvas


def mask_contours(mask: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """Outer edges and edges of holes of a `[H, W]` mask, `[K, 1, 2]` points x y each."""
    edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return list(edges)


def _frame(box: Box) -> NDArray[np.int32]:
    """The pixels just inside the box's outer edges, as a polygon."""
    x1, y1, x2, y2 = (round(min(max(v, -30_000), 30_000)) for v in box)
    right, bottom = max(x2 - 1, x1), max(y2 - 1, y1)
    return np.array([[x1, y1], [right, y1], [right, bottom], [x1, bottom]], dtype=np.int32)
