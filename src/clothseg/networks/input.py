"""From photos to the network's input and back: size, padding, normalisation, and the coordinates of boxes.

This is the only place that knows how a photo lies in the input. Four kinds of coordinates occur: image (pixels of the
photo), resized (pixels of the resized photo), input (pixels of the padded input), and network (what boxes are in
between the backbone and the detections: input pixels, or normalised by the input's size).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.config import InputSettings
from clothseg.devices import to_float64
from clothseg.instances import Instances, scale_boxes
from clothseg.networks.input_size import Size, SizeRounding, resized_size
from clothseg.networks.pixels import resample_bytes, resize_known_masks, resize_masks, to_float
from clothseg.networks.target import Target
from clothseg.networks.tensor_cache import TensorCache
from clothseg.networks.transfer import constants, to_device

Bounds = tuple[float, float, float, float]


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


class InputTransform:
    """Resizes, normalises and pads photos, and moves boxes between the photo, the input and the network.

    Args:
        settings: the section `input` of the configuration.
        conventions: the arithmetic to follow.
    """

    def __init__(self, settings: InputSettings, conventions: InputConventions) -> None:
        self.settings, self.conventions = settings, conventions
        self._constants = TensorCache(4)

    def resized(self, photo: Size) -> Size:
        """Height and width of a photo (height, width) after resizing, before padding."""
        return resized_size(photo, self.settings, self.conventions.size_rounding)

    def padded(self, resized: Sequence[Size]) -> Size:
        """Height and width of the input that holds photos of these resized sizes; at least the backbone's stride."""
        settings = self.settings
        if settings.has_fixed_frame:
            sides = [settings.height, settings.width]
        elif settings.resize == "square":
            sides = [settings.max_side] * 2
        else:
            sides = [max(side) for side in zip(*resized, strict=True)]
        divisor = self.conventions.size_divisor
        height, width = (math.ceil(max(side, 32) / divisor) * divisor for side in sides)
        return height, width

    def place(self, photo: Size, padded: Size | None = None) -> InputPlacement:
        """Where a photo lies in an input of size `padded`; by default in the input that it has alone."""
        size = self.resized(photo)
        padded = padded or self.padded([size])
        margins = padded[0] - size[0], padded[1] - size[1]
        top, left = (margins[0] // 2, margins[1] // 2) if self.conventions.centred else (0, 0)
        return InputPlacement(top, left, *size, padded, photo)

    def batch(
        self, images: Sequence[Tensor], device: torch.device, largest: Callable[[Size], Size] = lambda size: size
    ) -> tuple[Tensor, list[InputPlacement]]:
        """The padded input `[B, 3, H, W]` on `device`, and where each photo lies in it.

        Args:
            images: RGB `[3, H, W]`, uint8 or float in 0..1, of any sizes.
            device: of the answer.
            largest: enlarges the input's size to that of other processes, if there are any.
        """
        photos = [(image.shape[1], image.shape[2]) for image in images]
        padded = largest(self.padded([self.resized(photo) for photo in photos]))
        placements = [self.place(photo, padded) for photo in photos]
        resized = [
            self.normalise(to_device(self.resample(image, at.size), device), at.size)
            for image, at in zip(images, placements, strict=True)
        ]
        return self._pad(resized, placements), placements

    def resample(self, image: Tensor, size: Size) -> Tensor:
        """`[3, h, w]` uint8 of `size` from a photo, where the arithmetic resamples bytes; else the photo itself."""
        if self.conventions.resampling == "bilinear":
            return image
        return resample_bytes(image, size, antialias=self.conventions.resampling == "pillow")

    def normalise(self, image: Tensor, size: Size) -> Tensor:
        """`[3, h, w]` of `size` from what `resample` gives, its channels in order and normalised; float."""
        conventions = self.conventions
        if conventions.resampling == "bilinear":
            image = to_float(image)
            mean, std, _ = self._mean_std_black(image)
            scaled = image if conventions.pixel_scale == 1 else image * conventions.pixel_scale
            return F.interpolate(((self._ordered(scaled) - mean) / std)[None], size=size, mode="bilinear")[0]
        grey_levels = self._ordered(image.float())
        mean, std, _ = self._mean_std_black(grey_levels)
        return (grey_levels * (conventions.pixel_scale / 255) - mean) / std

    def prepare(self, image: Tensor, truth: Instances) -> tuple[Tensor, Instances]:
        """The part of the work that a photo needs alone, beforehand; `batch` and `target` do the rest.

        Takes a photo `[3, H, W]`, uint8 or float in 0..1, and its ground truth in its own pixels. Returns the photo,
        resampled if that is done in bytes, and the ground truth on the resized photo.
        """
        size = self.resized(truth.size)
        if self.resized(size) == size:  # else rounding would resize it once more
            image = self.resample(image, size)
        boxes = scale_boxes(truth.boxes, truth.size, size)
        return image, replace(truth, size=size, boxes=boxes, masks=resize_known_masks(truth, size))

    def target(self, truth: Instances, placement: InputPlacement, device: torch.device | None = None) -> Target:
        """The ground truth of one photo, its own or from `prepare`, on the network's input; on `device` if given."""
        device = device or truth.boxes.device
        boxes = scale_boxes(truth.boxes, truth.size, placement.size) + _offset(truth.boxes, placement)
        classes, masks, ignored, of_crowds = truth.classes, truth.masks, boxes[:0], None
        crowd, has_mask = truth.crowd.cpu(), truth.has_mask.cpu()
        if crowd.any() or not has_mask.all():
            whole, crowds, box_only = (torch.where(k)[0] for k in (~crowd & has_mask, crowd, ~crowd & ~has_mask))
            single = torch.cat([whole, box_only])
            if len(crowds):
                area = masks.select(crowds).pixels().any(0, keepdim=True)
                of_crowds = resize_masks(to_device(area, device), placement.size)[0]
            boxes, classes, masks, ignored = boxes[single], classes[single], masks.select(whole), boxes[crowds]
        pixels = resize_masks(to_device(masks.pixels(), device), placement.size)
        return Target(
            to_device(boxes, device), to_device(classes, device), pixels, to_device(ignored, device), of_crowds
        )

    def _ordered(self, image: Tensor) -> Tensor:
        return image.flip(0) if self.conventions.channels == "bgr" else image

    def _mean_std_black(self, image: Tensor) -> tuple[Tensor, ...]:
        """Each `[3, 1, 1]`; the last one is the normalised value of black."""

        def make() -> tuple[Tensor, ...]:
            both = constants([self.conventions.mean, self.conventions.std], image)
            mean, std = (of_channels[:, None, None] for of_channels in both)
            return mean, std, -mean / std

        return self._constants.get((image.device, image.dtype), make)

    def _pad(self, images: Sequence[Tensor], placements: Sequence[InputPlacement]) -> Tensor:
        """One batch `[B, 3, H, W]` of resized photos, each at its place."""
        batch = images[0].new_zeros((len(images), 3, *placements[0].padded))
        if self.conventions.black_padding:
            batch += self._mean_std_black(images[0])[2]
        for canvas, image, at in zip(batch, images, placements, strict=True):
            canvas[:, at.top : at.top + at.height, at.left : at.left + at.width] = image
        return batch


def image_to_input(boxes: Tensor, placement: InputPlacement) -> Tensor:
    """Boxes `[N, 4]` from image to input coordinates."""
    return scale_boxes(boxes, placement.photo, placement.size) + _offset(boxes, placement)


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
