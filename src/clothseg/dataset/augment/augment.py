"""Random changes to a photo and its instances together.

First geometry (flip, zoom, stretch, shift, turn, shear, piecewise affine), then light; copy-paste is a step of its own.
The photo is interpolated and the masks take the nearest pixel, both through the same map; what comes from outside is
the photo's mean colour. Boxes are computed from the masks, so that the two never disagree.

Geometry works on bytes with OpenCV, which is several times as fast as sampling tensors on a grid; light works on
floats, which are rounded to bytes once at the end.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from clothseg.config import AugmentSettings, Strength
from clothseg.instances import Instances, PixelMasks, from_xywh

GRID = 4
"""Cells of the piecewise affine grid along a side."""
MIN_VISIBLE = 0.2
"""An object of which a smaller part than this is still visible after copy-paste is left out."""
Colour = Sequence[float]
Pixels = NDArray[Any]


def augment(
    image: Tensor, instances: Instances, settings: AugmentSettings, generator: torch.Generator
) -> tuple[Tensor, Instances]:
    """One random change of a photo, as far as `settings` allow each kind.

    Args:
        image: `[3, H, W]` uint8.
        instances: its ground truth.
        settings: how far each change may go, and how often.
        generator: draws the change.

    Returns:
        the changed photo of the same size, and its instances: boxes tight round the masks, emptied ones left out.
    """
    image, masks = change_geometry(image, instances.masks.pixels(), settings, generator)
    image = change_light(image, settings, generator)
    return image, _from_masks(masks, instances.classes, instances.crowd)


def paste_instances(
    image: Tensor, instances: Instances, other: Tensor, others: Instances, generator: torch.Generator
) -> tuple[Tensor, Instances]:
    """Copy-paste: puts random objects of `other` `[3, h, w]` onto `image` `[3, H, W]`, in front; both are uint8.

    The other photo is scaled to fit into the first one and laid over it at a random place. Crowds are not pasted;
    objects behind lose the pixels that are covered, and are left out where little of them stays visible.

    Source: Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation (2021).

    Returns:
        the new photo of the size of `image`, and its instances.
    """
    chosen = ~others.crowd & (torch.rand(len(others), generator=generator) < 0.5)
    if not chosen.any():
        return image, instances
    height, width = instances.size
    scale = min(height / others.size[0], width / others.size[1])
    size = max(1, int(others.size[0] * scale)), max(1, int(others.size[1] * scale))
    margins = height - size[0], width - size[1]
    top, left = (int(torch.randint(margin + 1, (), generator=generator)) for margin in margins)
    inside = (slice(top, top + size[0]), slice(left, left + size[1]))
    front = torch.zeros((int(chosen.sum()), height, width), dtype=torch.bool)
    front[:, *inside] = F.interpolate(others[chosen].masks.pixels()[:, None].to(torch.uint8), size=size)[:, 0].bool()
    layer = image.clone()
    layer[:, *inside] = F.interpolate(other[None], size=size, mode="bilinear", antialias=True)[0]
    covered = front.any(dim=0)
    behind = instances.masks.pixels()
    visible = behind & ~covered
    stays = visible.flatten(1).sum(1) >= (MIN_VISIBLE * behind.flatten(1).sum(1)).clamp(min=1)
    masks = torch.cat([visible[stays], front])
    classes = torch.cat([instances.classes[stays], others.classes[chosen]])
    crowd = torch.cat([instances.crowd[stays], torch.zeros(len(front), dtype=torch.bool)])
    return torch.where(covered, layer, image), _from_masks(masks, classes, crowd)


def _from_masks(masks: Tensor, classes: Tensor, crowd: Tensor) -> Instances:
    """Instances of masks `[N, H, W]` bool on the CPU, without the empty ones; boxes are tight round the masks."""
    found = [cv2.boundingRect(mask.view(np.uint8)) for mask in masks.numpy()]
    boxes = from_xywh(torch.tensor(found, dtype=torch.float32).reshape(-1, 4))
    present = boxes[:, 2] > boxes[:, 0]
    masks = masks[present]
    return Instances((masks.shape[1], masks.shape[2]), boxes[present], classes[present], PixelMasks(masks),
                     crowd=crowd[present])  # fmt: skip


def change_geometry(
    image: Tensor, masks: Tensor, settings: AugmentSettings, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Flips, maps and bends a photo `[3, H, W]` uint8 and its masks `[N, H, W]` bool alike; sizes stay."""
    size = (image.shape[1], image.shape[2])
    if float(torch.rand((), generator=generator)) < settings.flip:
        image, masks = image.flip(-1), masks.flip(-1)
    affine = draw_affine(settings, size, generator)
    displacement = _piecewise_affine(settings, size, generator)
    unchanged = torch.equal(affine, torch.eye(3))
    if unchanged and displacement is None:
        return image, masks
    fill = cv2.mean(_channels_last(image))[:3]
    if not unchanged:
        image, masks = _warp(affine, image, masks, fill)
    if displacement is not None:
        image, masks = _bend(displacement, image, masks, fill)
    return image, masks


def draw_affine(settings: AugmentSettings, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """A random map `[3, 3]` from pixels of a photo of `size` (height, width) to where they go, about its centre."""
    height, width = size
    scale = _factor(settings.scale, generator)
    x, y = scale * _factor(settings.stretch, generator), scale * _factor(settings.stretch, generator)
    shift = [_offset(settings.shift, generator) * width, _offset(settings.shift, generator) * height]
    angle, shear = (math.radians(_offset(part, generator)) for part in (settings.rotate, settings.shear))
    jitter = _log_uniform(*settings.large_scale_jitter, generator) if settings.large_scale_jitter else 1.0
    jitter_shift = [abs(jitter - 1) / 2 * side * _uniform(-1, 1, generator) for side in (width, height)]
    rotation = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    shearing = torch.tensor([[1.0, math.tan(shear)], [0.0, 1.0]])
    centre = torch.tensor([width / 2, height / 2])
    affine = torch.eye(3)
    affine[:2, :2] = jitter * rotation @ shearing @ torch.diag(torch.tensor([x, y]))
    affine[:2, 2] = centre - affine[:2, :2] @ centre + torch.tensor(shift) + torch.tensor(jitter_shift)
    return affine


def _warp(affine: Tensor, image: Tensor, masks: Tensor, fill: Colour) -> tuple[Tensor, Tensor]:
    """Photo and masks through a map of pixels. In OpenCV, 0 is the middle of the first pixel, not its edge."""
    matrix = torch.linalg.inv(affine.double())[:2].numpy()
    matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    width_height = (image.shape[2], image.shape[1])

    def warp(pixels: Pixels, flags: int, border: Colour) -> Pixels:
        flags |= cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(
            pixels, matrix, width_height, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=border
        )

    return _through(warp, image, masks, fill)


def _bend(displacement: Tensor, image: Tensor, masks: Tensor, fill: Colour) -> tuple[Tensor, Tensor]:
    """Photo and masks, each pixel taken from `displacement` `[2, H, W]` (x, y) pixels away."""
    height, width = displacement.shape[1:]
    x = (torch.arange(width) + displacement[0]).numpy()
    y = (torch.arange(height)[:, None] + displacement[1]).numpy()

    def bend(pixels: Pixels, flags: int, border: Colour) -> Pixels:
        return cv2.remap(pixels, x, y, flags, borderMode=cv2.BORDER_CONSTANT, borderValue=border)

    return _through(bend, image, masks, fill)


def _through(
    change: Callable[[Pixels, int, Colour], Pixels], image: Tensor, masks: Tensor, fill: Colour
) -> tuple[Tensor, Tensor]:
    """The photo interpolated, and each mask by the nearest pixel."""
    changed = change(_channels_last(image), cv2.INTER_LINEAR, fill)
    moved = torch.empty_like(masks, memory_format=torch.contiguous_format)
    for new, old in zip(moved.numpy(), masks.contiguous().numpy(), strict=True):
        new[:] = change(old.view(np.uint8), cv2.INTER_NEAREST, (0.0,))
    return torch.from_numpy(changed).permute(2, 0, 1), moved


def _channels_last(image: Tensor) -> Pixels:
    return image.permute(1, 2, 0).contiguous().numpy()


def _piecewise_affine(settings: AugmentSettings, size: tuple[int, int], generator: torch.Generator) -> Tensor | None:
    """Displacements `[2, H, W]` (x, y): random at the points of a coarse grid, linear in between, 0 at the border."""
    if not _happens(settings.piecewise_affine, generator):
        return None
    points = torch.zeros((1, 2, GRID + 1, GRID + 1))
    inner = torch.rand((1, 2, GRID - 1, GRID - 1), generator=generator)
    sides = torch.tensor([size[1], size[0]])[:, None, None]
    points[..., 1:-1, 1:-1] = (2 * inner - 1) * settings.piecewise_affine.max * sides
    return F.interpolate(points, size=size, mode="bilinear", align_corners=True)[0]


def change_light(image: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Changes brightness, contrast, saturation, blur and sharpness of a photo `[3, H, W]` uint8."""
    brightness, contrast, saturation = (
        _factor(part, generator) for part in (settings.brightness, settings.contrast, settings.saturation)
    )
    sigma = _uniform(0, settings.blur.max, generator)
    blurs = _happens(settings.blur, generator) and sigma > 0.05
    sharpness = _uniform(0, settings.sharpen.max, generator)
    sharpens = _happens(settings.sharpen, generator)
    if brightness == contrast == saturation == 1 and not blurs and not sharpens:
        return image
    pixels = image.float() / 255
    if brightness != 1:
        pixels = transforms.adjust_brightness(pixels, brightness)
    if contrast != 1:
        pixels = transforms.adjust_contrast(pixels, contrast)
    if saturation != 1:
        pixels = transforms.adjust_saturation(pixels, saturation)
    if blurs:
        pixels = transforms.gaussian_blur(pixels, [2 * round(3 * sigma) + 1] * 2, [sigma, sigma])
    if sharpens:
        pixels = transforms.adjust_sharpness(pixels, 1 + sharpness)
    return (pixels * 255).round().to(torch.uint8)


def _happens(change: Strength, generator: torch.Generator) -> bool:
    """Whether a change applies to this photo. It always draws a number, so that changes do not shift one another."""
    return float(torch.rand((), generator=generator)) < change.p and change.max > 0


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _factor(change: Strength, generator: torch.Generator) -> float:
    """A factor from 1 - max to 1 + max, or 1 where the change does not apply."""
    drawn = _uniform(1 - change.max, 1 + change.max, generator)
    return drawn if _happens(change, generator) else 1.0


def _offset(change: Strength, generator: torch.Generator) -> float:
    """A number from -max to max, or 0 where the change does not apply."""
    drawn = _uniform(-change.max, change.max, generator)
    return drawn if _happens(change, generator) else 0.0


def _log_uniform(low: float, high: float, generator: torch.Generator) -> float:
    """A factor from `low` to `high`, as likely below its geometric mean as above."""
    return math.exp(_uniform(math.log(low), math.log(high), generator))
