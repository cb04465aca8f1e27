"""Where a photo lies in the network's input: the size that it gets, its place, and the coordinates of boxes.

Four kinds of coordinates occur: image (pixels of the photo), resized (pixels of the resized photo), input (pixels of
the padded input), and network (what boxes are in between the backbone and the detections: input pixels, or normalised
by the input's size).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from clothseg.config import InputSettings
from clothseg.devices import to_float64
from clothseg.instances import scale_boxes
from clothseg.networks.transfer import constants, to_device

Size = tuple[int, int]
Bounds = tuple[float, float, float, float]
SizeRounding = Literal["down", "half_up", "half_even", "long_down"]
"""How the resized sides become whole: all `down`; `half_up` after the short side; to the nearest, `half_even`; or the
short side exactly and the long one down."""


@dataclass(frozen=True)
class InputConventions:
    """How an implementation turns photos into its input.

    Attributes:
        pixel_scale: pixel values in 0..1 are multiplied by this first.
        mean, std: of the channels, in their order; subtracted, and divided by.
        channels: order of the channels.
        resampling: `bilinear` without antialiasing; `pillow`, Pillow's antialiased bilinear on bytes; `zero_padded`,
            bilinear on bytes with zeros beyond the edges, truncated to whole grey levels.
        size_rounding: of the resized photo's height and width.
        size_divisor: the sides of the padded input are multiples of this.
        centred: the photo lies in the middle of the padded input, not at its top left.
        black_padding: padding is black before the mean is subtracted, not 0 afterwards.
        normalised_boxes: in network coordinates a box is (x1, y1, x2 - 1, y2 - 1) over (width - 1, height - 1) of the
            padded input, not in pixels.
        whole_boxes: whether boxes of detections are rounded, or cut, to whole pixels.
    """

    pixel_scale: float = 1.0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    channels: Literal["rgb", "bgr"] = "rgb"
    resampling: Literal["bilinear", "pillow", "zero_padded"] = "bilinear"
    size_rounding: SizeRounding = "down"
    size_divisor: int = 32
    centred: bool = False
    black_padding: bool = False
    normalised_boxes: bool = False
    whole_boxes: Literal["no", "round", "cut"] = "no"


@dataclass(frozen=True)
class InputPlacement:
    """Where one photo lies in the padded input.

    Attributes:
        top, left, height, width: of the resized photo, in pixels of the input.
        padded: height and width of the input.
        photo: height and width of the photo itself.
    """

    top: int
    left: int
    height: int
    width: int
    padded: Size
    photo: Size

    @property
    def size(self) -> Size:
        """Height and width of the resized photo."""
        return self.height, self.width

    @property
    def region(self) -> Bounds:
        """Top, left, height and width of the photo in fractions of the input's sides."""
        height, width = self.padded
        return self.top / height, self.left / width, self.height / height, self.width / width


def resized_size(photo: Size, settings: InputSettings, rounding: SizeRounding) -> Size:
    """Height and width of a photo (height, width) after resizing, before padding."""
    if settings.resize == "stretch":
        return settings.height, settings.width
    if settings.resize == "fit":
        scale = min(settings.height / photo[0], settings.width / photo[1])
    elif settings.resize == "square":
        scale = max(1.0, settings.min_side / min(photo))
        if round(max(photo) * scale) > settings.max_side:
            scale = settings.max_side / max(photo)
    elif settings.resize == "none":
        scale = min(1.0, settings.max_side / max(photo))
    elif rounding == "half_up":
        return _keep_ratio_half_up(photo, settings)
    elif rounding == "long_down" and (long := settings.min_side * max(photo) // min(photo)) <= settings.max_side:
        return (settings.min_side, long) if photo[0] < photo[1] else (long, settings.min_side)
    else:
        scale = min(settings.min_side / min(photo), settings.max_side / max(photo))
    functions: dict[str, Callable[[float], int]] = {
        "down": math.floor,
        "half_up": _half_up,
        "half_even": round,
        "long_down": math.floor,
    }
    rounded = functions[rounding]
    return max(1, rounded(photo[0] * scale)), max(1, rounded(photo[1] * scale))


def _keep_ratio_half_up(photo: Size, settings: InputSettings) -> Size:
    """Both sides by the short one's scale; if the long one is too long then, both sides again."""
    short = settings.min_side / min(photo)
    height, width = (short * photo[0], short * photo[1])
    height, width = (settings.min_side, width) if photo[0] < photo[1] else (height, settings.min_side)
    if (longest := max(height, width)) > settings.max_side:
        again = settings.max_side / longest
        height, width = height * again, width * again
    return max(1, _half_up(height)), max(1, _half_up(width))


def _half_up(value: float) -> int:
    return int(value + 0.5)


def image_to_input(boxes: Tensor, placement: InputPlacement, photo: Size | None = None) -> Tensor:
    """Boxes `[N, 4]` from image to input coordinates; `photo` is its size if it is resized already."""
    return scale_boxes(boxes, photo or placement.photo, placement.size) + _offset(boxes, placement)


def to_network_coords(boxes: Tensor, padded: Size, conventions: InputConventions) -> Tensor:
    """Boxes `[N, 4]` from input to network coordinates; float32."""
    if not conventions.normalised_boxes:
        return boxes.float()
    exact, shift, scale = _normaliser(boxes, padded)
    return ((exact - shift) / scale).float().to(boxes.device)


def network_to_image(boxes: Tensor, placement: InputPlacement, conventions: InputConventions) -> Tensor:
    """Boxes `[N, 4]` from network to image coordinates; float32."""
    if conventions.normalised_boxes:
        exact, shift, scale = _normaliser(boxes, placement.photo)
        (edges,) = constants([placement_bounds(placement, conventions, padded=False)], exact)
        corner, extent = edges[:2].repeat(2), (edges[2:] - edges[:2]).repeat(2)
        placed = (exact - corner) / extent * scale + shift
    else:
        placed = boxes - _offset(boxes, placement) if conventions.centred else boxes
        placed = scale_boxes(placed, placement.size, placement.photo)
    whole = {"no": placed.float, "round": placed.round, "cut": placed.trunc}[conventions.whole_boxes]
    return whole().float().to(boxes.device)


def network_to_resized(boxes: Tensor, placement: InputPlacement, conventions: InputConventions) -> Tensor:
    """Boxes `[N, 4]` from network to resized coordinates, x2 and y2 being outer edges."""
    if conventions.normalised_boxes:
        exact, shift, scale = _normaliser(boxes, placement.padded)
        boxes = (exact * scale + shift).float().to(boxes.device)
    return boxes - _offset(boxes, placement) if placement.left or placement.top else boxes


def placement_bounds(placement: InputPlacement, conventions: InputConventions, *, padded: bool) -> Bounds:
    """x1 y1 x2 y2, in network coordinates, of the photo; of the whole input with `padded`."""
    height, width = placement.padded
    left, top, right, bottom = 0, 0, width, height
    if not padded:
        left, top = placement.left, placement.top
        right, bottom = left + placement.width, top + placement.height
    if not conventions.normalised_boxes:
        return float(left), float(top), float(right), float(bottom)
    of_width, of_height = width - 1, height - 1
    x1, y1, x2, y2 = left / of_width, top / of_height, (right - 1) / of_width, (bottom - 1) / of_height
    return float(np.float32(x1)), float(np.float32(y1)), float(np.float32(x2)), float(np.float32(y2))


def clip_to_placements(
    boxes: Tensor, placements: Sequence[InputPlacement], conventions: InputConventions, *, padded: bool
) -> Tensor:
    """Clips boxes `[B, N, 4]` in network coordinates to their photos, or to the whole input with `padded`."""
    bounds = (placement_bounds(placement, conventions, padded=padded) for placement in placements)
    edges = torch.tensor([(b[:2] * 2, b[2:] * 2) for b in bounds], dtype=boxes.dtype)
    low, high = to_device(edges, boxes.device)[:, :, None].unbind(1)
    return boxes.clamp(low, high)


def _offset(boxes: Tensor, placement: InputPlacement) -> Tensor:
    return constants([[placement.left, placement.top] * 2], boxes)[0]


def _normaliser(boxes: Tensor, size: Size) -> tuple[Tensor, ...]:
    """The boxes in float64, and what normalises them on a grid of `size`: subtracted, and divided by."""
    exact, (height, width) = to_float64(boxes), size
    return exact, *constants([[0, 0, 1, 1], [width - 1, height - 1] * 2], exact)
