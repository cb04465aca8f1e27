"""From photos to the network's input: resampling, normalisation and padding, of ground truth too.

`placement.py` says where a photo lies in the input, and how boxes come there and back.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from clothseg.config import InputSettings
from clothseg.instances import Instances, Masks, PixelMasks, SomeMasks, resize_zero_padded, scale_boxes
from clothseg.networks.placement import InputConventions, InputPlacement, Size, image_to_input, resized_size
from clothseg.networks.target import Target
from clothseg.networks.transfer import TensorCache, constants, to_device
from clothseg.photos import RgbImage


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
        boxes = image_to_input(truth.boxes, placement, truth.size)
        classes, masks, ignored, of_crowds = truth.classes, truth.masks, boxes[:0], None
        crowd, has_mask = torch.stack([truth.crowd, truth.has_mask]).cpu()  # one read of a GPU
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


def to_tensor(photo: RgbImage) -> Tensor:
    """A photo `[H, W, 3]` uint8 as `[3, H, W]` uint8, in the same memory."""
    return torch.from_numpy(photo).permute(2, 0, 1)


def to_photo(image: Tensor) -> RgbImage:
    """A photo `[3, H, W]`, uint8 or float in 0..1, as `[H, W, 3]` uint8."""
    photo: RgbImage = to_bytes(image).permute(1, 2, 0).contiguous().cpu().numpy()
    return photo


def to_float(image: Tensor) -> Tensor:
    """A photo `[3, H, W]` as float in 0..1, where it is; uint8 is divided by 255, float stays as it is."""
    return image if image.is_floating_point() else image.float() / 255


def to_bytes(image: Tensor) -> Tensor:
    """A photo `[3, H, W]` as uint8, where it is; float in 0..1 is multiplied by 255 and rounded, uint8 stays."""
    return (image * 255).round().clamp(0, 255).to(torch.uint8) if image.is_floating_point() else image


def resample_bytes(image: Tensor, size: tuple[int, int], *, antialias: bool) -> Tensor:
    """A photo `[3, H, W]`, uint8 or float in 0..1, resampled as bytes: `[3, h, w]` uint8 of `size`.

    Either by Pillow's antialiased bilinear, or bilinear with zeros beyond the edges, truncated; on the CPU, unless the
    photo has the size already.
    """
    photo = to_bytes(image)
    if photo.shape[1:] == size:
        return photo
    pixels = photo.cpu().permute(1, 2, 0).contiguous().numpy()
    if antialias:
        resampled = np.array(Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BILINEAR))
    else:
        resampled = resize_zero_padded(pixels.astype(np.float64), size).astype(np.uint8)
    return to_tensor(resampled)


def resize_each_mask(masks: Masks, size: tuple[int, int], together: int = 4_000_000) -> Tensor:
    """Masks as `[N, h, w]` bool of `size`; each pixel takes the nearest old one.

    They are resized some at a time: those of a large photo with hundreds of objects do not fit into memory together.
    So, if there are several, masks of the photo's size take at most `together` bytes.
    """
    if isinstance(masks, PixelMasks):
        return resize_masks(masks.values, size).bool()
    resized = torch.zeros((len(masks), *size), dtype=torch.bool)
    step = max(together // (masks.size[0] * masks.size[1]), 1)
    for start in range(0, len(masks), step):
        positions = torch.arange(start, min(start + step, len(masks)))
        resized[positions] = resize_masks(masks.select(positions).pixels(), size).view(torch.bool)
    return resized


def resize_known_masks(truth: Instances, size: tuple[int, int]) -> Masks:
    """The masks of `truth`, resized as `resize_each_mask` does; objects without a mask take no memory."""
    if truth.has_mask.all():
        return PixelMasks(resize_each_mask(truth.masks, size))
    there = truth.has_mask.cpu()
    return SomeMasks.of(PixelMasks(resize_each_mask(truth.masks.select(torch.where(there)[0]), size)), there)


def resize_masks(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks `[N, H, W]` bool as uint8 of `size`; each pixel takes the nearest old one."""
    if masks.shape[1:] == size:
        return masks.view(torch.uint8)
    if not len(masks):
        return torch.zeros((0, *size), dtype=torch.uint8, device=masks.device)
    return F.interpolate(masks[:, None].to(torch.uint8), size=size)[:, 0]
