"""Draws masks and boxes as lines only. The photo inside them does not change."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from clothseg.photos import RgbImage, require_photo_of
from clothseg.pictures.colours import CROWD, class_colour

if TYPE_CHECKING:  # it needs torch
    from clothseg.instances import Instances

Box = tuple[float, float, float, float]
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def draw_outlines(photo: RgbImage, instances: "Instances") -> RgbImage:
    """Draws boxes as black lines and the contours of masks as white lines, as in the report's Figure 5.

    Boxes of objects without a mask are dashed.

    Args:
        photo: `[H, W, 3]` uint8 RGB.
        instances: on this photo, of size (H, W).

    Returns:
        A new `[H, W, 3]` uint8 array.

    Raises:
        ValueError: the instances belong to a photo of another size.
    """
    require_photo_of(photo, instances.size)
    contours = [edge for mask in instances.masks.pixels().cpu().numpy() for edge in mask_contours(mask)]
    boxes = [(float(b[0]), float(b[1]), float(b[2]), float(b[3])) for b in instances.boxes.tolist()]
    return draw_lines(photo, boxes, contours, dashed=(~instances.has_mask).tolist())


def draw_masks(instances: "Instances") -> RgbImage:
    """Draws masks on black in the colours of their classes, crowds in grey. Small masks cover large ones.

    Returns:
        `[H, W, 3]` uint8, with the size of the instances.
    """
    canvas = np.zeros((*instances.size, 3), dtype=np.uint8)
    masks = instances.masks.pixels().cpu().numpy()
    for position in np.argsort(-masks.reshape(len(masks), instances.size[0] * instances.size[1]).sum(axis=1)):
        crowd = bool(instances.crowd[position])
        canvas[masks[position]] = CROWD if crowd else class_colour(int(instances.classes[position]))
    return canvas


def draw_lines(
    photo: RgbImage, boxes: Sequence[Box], contours: Sequence[NDArray[Any]], *, dashed: Sequence[bool] = ()
) -> RgbImage:
    """Draws boxes in black and contours in white, each with a faint rim of the other colour for contrast.

    Args:
        photo: `[H, W, 3]` uint8 RGB.
        boxes: x1 y1 x2 y2 in pixels, outer edges. Parts outside the photo are not drawn.
        contours: arrays `[K, 2]` or `[K, 1, 2]` of points x y in pixels.
        dashed: for each box, whether its line is dashed; none by default.

    Returns:
        A new `[H, W, 3]` uint8 array.
    """
    canvas = np.array(photo, dtype=np.uint8, copy=True, order="C")
    line = max(round(math.sqrt(canvas.shape[0] * canvas.shape[1]) / 220), 1)
    edges = [np.rint(np.asarray(c, dtype=np.float64)).clip(-30_000, 30_000).astype(np.int32) for c in contours]
    frames = [_frame(box) for box in boxes]
    flags = [*dashed] or [False] * len(frames)
    solid = [frame for frame, dash in zip(frames, flags, strict=True) if not dash]
    dashes = [part for frame, dash in zip(frames, flags, strict=True) if dash for part in _dashes(frame, 4 * line)]
    for shapes, closed, colour, rim in (
        (edges, True, _WHITE, _BLACK), (solid, True, _BLACK, _WHITE), (dashes, False, _BLACK, _WHITE)
    ):  # fmt: skip
        under = cv2.polylines(canvas.copy(), shapes, closed, rim, thickness=line + 2, lineType=cv2.LINE_AA)
        cv2.addWeighted(under, 0.4, canvas, 0.6, 0, dst=canvas)
        cv2.polylines(canvas, shapes, isClosed=closed, color=colour, thickness=line, lineType=cv2.LINE_AA)
    return canvas


def mask_contours(mask: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """The contours of a `[H, W]` mask, of holes too: arrays `[K, 1, 2]` of points x y in pixels."""
    edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return list(edges)


def _frame(box: Box) -> NDArray[np.int32]:
    """A polygon along the pixels just inside the box's outer edges."""
    x1, y1, x2, y2 = (round(min(max(v, -30_000), 30_000)) for v in box)
    right, bottom = max(x2 - 1, x1), max(y2 - 1, y1)
    return np.array([[x1, y1], [right, y1], [right, bottom], [x1, bottom]], dtype=np.int32)


def _dashes(frame: NDArray[np.int32], dash: int) -> list[NDArray[np.int32]]:
    """The lines of a frame `[4, 2]`, cut into dashes of `dash` pixels with gaps as long: arrays `[2, 2]`."""
    parts = []
    for start, end in zip(frame, np.roll(frame, -1, axis=0), strict=True):
        length = int(np.abs(end - start).max())
        direction = np.sign(end - start)
        for first in range(0, max(length, 1), 2 * dash):
            parts.append(np.array([start + direction * first, start + direction * min(first + dash, length)], np.int32))
    return parts
