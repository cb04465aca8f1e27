"""Pastes a cut-out on another photo. It does not drape cloth on a body."""

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from clothseg.errors import DataError
from clothseg.garments.cutout import Cutout, cut_out
from clothseg.garments.light import gains, light_of, relit
from clothseg.photos import RgbaImage, RgbImage

if TYPE_CHECKING:  # they need torch
    from clothseg.instances import Instances

Box = tuple[float, float, float, float]
"""x1 y1 x2 y2 in pixels."""
_SMALLEST = 0.5
"""Of a side in pixels; it is drawn as one."""


def box_at(
    cutout: Cutout, size: tuple[int, int], *, centre: tuple[float, float] | None = None, scale: float | None = None
) -> Box:
    """The box of a cut-out on a photo: x1 y1 x2 y2 in pixels.

    Args:
        cutout: the garment.
        size: height and width of the photo.
        centre: x y of the garment's middle in pixels. None: the middle of the photo.
        scale: factor for the garment's size. None: 1, or less if the photo is smaller than the garment.
    """
    height, width = cutout.picture.shape[:2]
    if scale is None:
        scale = min(1.0, size[0] / height, size[1] / width)
    x, y = centre or (size[1] / 2, size[0] / 2)
    return x - width * scale / 2, y - height * scale / 2, x + width * scale / 2, y + height * scale / 2


def keep_shape(cutout: Cutout, box: Box) -> Box:
    """The largest box inside `box` with the cut-out's proportions, at the middle of the upper edge."""
    height, width = cutout.picture.shape[:2]
    scale = min((box[2] - box[0]) / width, (box[3] - box[1]) / height)
    middle = (box[0] + box[2]) / 2
    return middle - width * scale / 2, box[1], middle + width * scale / 2, box[1] + height * scale


def best_garment(photo: RgbImage, found: "Instances", class_id: int) -> Cutout | None:
    """The garment of a class with the highest score, cut out with its refined edge; None if there is none."""
    for position in found.scores.argsort(descending=True, stable=True).tolist():
        if int(found.classes[position]) == class_id:
            garment = cut_out(photo, found, position)
            if garment is not None:
                return garment
    return None


def compose(cutout: Cutout, background: RgbImage, box: Box, *, match_light: bool = True) -> RgbImage:
    """Blends the cut-out over the background, stretched to fill `box`.

    Args:
        cutout: the garment.
        background: `[H, W, 3]` uint8 RGB.
        box: x1 y1 x2 y2 in pixels of the background. It may reach over the edges.
        match_light: whether the garment's colours are adapted from the light of its photo to that of the background.
            If the light of its photo is not known, the colours stay.

    Returns:
        A new `[H, W, 3]` uint8 array.

    Raises:
        DataError: the box has no area, is outside the background, or is very large.
    """
    height, width = background.shape[:2]
    left, top, right, bottom = (math.floor(side + 0.5) for side in box)  # `round` goes to even numbers, to other sizes
    if box[2] - box[0] < _SMALLEST or box[3] - box[1] < _SMALLEST:
        raise DataError(_no_area(box, width, height))
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    y, x = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    if y.start >= y.stop or x.start >= x.stop:
        raise DataError(
            f"the garment would be at x {left} to {right}, y {top} to {bottom}, outside the photo, which has "
            f"{width} x {height} pixels (width x height); choose another place"
        )
    if (right - left) * (bottom - top) > 25 * max(height * width, 1_000_000):
        raise DataError(f"the garment would have {right - left} x {bottom - top} pixels; choose a smaller scale or box")
    visible = slice(y.start - top, y.stop - top), slice(x.start - left, x.stop - left)
    part = _resized(cutout.picture, (bottom - top, right - left), visible)
    alpha = part[..., 3:]
    colours = np.rint(np.clip(part[..., :3] / np.maximum(alpha, 1e-6), 0, 255)).astype(np.uint8)
    if match_light and cutout.light is not None:
        colours = relit(colours, gains(cutout.light, light_of(background)))
    answer = background.copy()
    answer[y, x] = np.rint(background[y, x] * (1 - alpha) + colours * alpha).astype(np.uint8)
    return answer


def _no_area(box: Box, width: int, height: int) -> str:
    """Why nothing can be drawn in a box on a photo, and what to do."""
    left, top, right, bottom = box
    if right <= left or bottom <= top:
        return (
            f"the box for the garment has no area: left {left:g}, top {top:g}, right {right:g}, bottom {bottom:g} "
            "pixels; left must be less than right, and top less than bottom"
        )
    return (
        f"the garment would have {right - left:.2g} x {bottom - top:.2g} pixels (width x height), less than one, on a "
        f"photo of {width} x {height}; choose a larger photo, scale or box"
    )


def _resized(picture: RgbaImage, size: tuple[int, int], part: tuple[slice, slice]) -> NDArray[np.float32]:
    """A part (rows, columns) of the RGBA picture resized to `size` (height, width).

    Colours are multiplied by alpha, so transparent pixels add no colour. The memory that it takes grows with the
    picture and the part, not with `size`.
    """
    alpha = picture[..., 3:].astype(np.float32) / np.float32(255)
    layers: NDArray[np.float32] = np.dstack([picture[..., :3] * alpha, alpha])
    if picture.shape[:2] == size:
        return layers[part]
    if size[0] * size[1] < picture.shape[0] * picture.shape[1]:
        return np.asarray(cv2.resize(layers, size[::-1], interpolation=cv2.INTER_AREA), dtype=np.float32)[part]
    for axis in (0, 1):
        layers = _samples(layers, axis, size[axis], part[axis])
    return layers


def _samples(layers: NDArray[np.float32], axis: int, side: int, part: slice) -> NDArray[np.float32]:
    """Linear samples along an axis for a part of `side` pixels: half-pixel centres, as OpenCV has them."""
    cells = layers.shape[axis]
    place = ((np.arange(part.start, part.stop) + 0.5) * cells / side - 0.5).clip(0, cells - 1)
    before = place.astype(np.intp)
    share = np.expand_dims((place - before).astype(np.float32), tuple(other for other in range(3) if other != axis))
    after = np.minimum(before + 1, cells - 1)
    sampled: NDArray[np.float32] = layers.take(before, axis) * (1 - share) + layers.take(after, axis) * share
    return sampled
