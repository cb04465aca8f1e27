"""Photos and masks as tensors: their bytes, the same in 0..1, and resampled."""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from clothseg.instances import Instances, Masks, PixelMasks, SomeMasks, resize_zero_padded
from clothseg.photos import RgbImage

_TOGETHER = 4_000_000
"""Bytes of masks in the photo's size that are in memory at the same time, if there are several."""


def to_tensor(photo: RgbImage) -> Tensor:
    """A photo `[H, W, 3]` uint8 as `[3, H, W]` uint8, in the same memory."""
    return torch.from_numpy(photo).permute(2, 0, 1)


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


def resize_each_mask(masks: Masks, size: tuple[int, int]) -> Tensor:
    """Masks as `[N, h, w]` bool of `size`; each pixel takes the nearest old one.

    They are resized some at a time: those of a large photo with hundreds of objects do not fit into memory together.
    """
    if isinstance(masks, PixelMasks):
        return resize_masks(masks.values, size).bool()
    resized = torch.zeros((len(masks), *size), dtype=torch.bool)
    step = max(_TOGETHER // (masks.size[0] * masks.size[1]), 1)
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
