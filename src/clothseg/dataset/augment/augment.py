"""Random changes to a photo and its instances together.

First geometry (flip, zoom, stretch, shift, turn, shear, piecewise affine), then light; copy-paste is a step of its own.
The photo is interpolated and the masks take the nearest pixel, both through the same map; what comes from outside is
the photo's mean colour. Boxes are computed from the masks, so that the two never disagree.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from clothseg.config import AugmentSettings, Strength
from clothseg.instances import Instances, PixelMasks, boxes_of_masks

GRID = 4
"""Cells of the piecewise affine grid along a side."""
MIN_VISIBLE = 0.2
"""An object of which a smaller part than this is still visible after copy-paste is left out."""


def augment(
    image: Tensor, instances: Instances, settings: AugmentSettings, generator: torch.Generator
) -> tuple[Tensor, Instances]:
    """One random change of a photo, as far as `settings` allow each kind.

    Args:
        image: `[3, H, W]` float in 0..1.
        instances: its ground truth.
        settings: how far each change may go, and how often.
        generator: draws the change.

    Returns:
        the changed photo of the same size, and its instances: boxes tight round the masks, emptied ones left out.
    """
    image, masks = change_geometry(image, instances.masks.pixels(), settings, generator)
    image = change_light(image, settings, generator)
    return image, _from_masks(instances.size, masks, instances.classes, instances.crowd)


def paste_instances(
    image: Tensor, instances: Instances, other: Tensor, others: Instances, generator: torch.Generator
) -> tuple[Tensor, Instances]:
    """Copy-paste: puts random objects of `other` `[3, h, w]` onto `image` `[3, H, W]`, in front of what is there.

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
    front[:, *inside] = F.interpolate(others[chosen].masks.pixels()[:, None].float(), size=size)[:, 0] > 0.5
    layer = image.clone()
    layer[:, *inside] = F.interpolate(other[None], size=size, mode="bilinear", antialias=True)[0]
    covered = front.any(dim=0)
    behind = instances.masks.pixels()
    visible = behind & ~covered
    stays = visible.flatten(1).sum(1) >= (MIN_VISIBLE * behind.flatten(1).sum(1)).clamp(min=1)
    masks = torch.cat([visible[stays], front])
    classes = torch.cat([instances.classes[stays], others.classes[chosen]])
    crowd = torch.cat([instances.crowd[stays], torch.zeros(len(front), dtype=torch.bool)])
    return torch.where(covered, layer, image), _from_masks(instances.size, masks, classes, crowd)


def _from_masks(size: tuple[int, int], masks: Tensor, classes: Tensor, crowd: Tensor) -> Instances:
    """Instances of masks `[N, H, W]` without the empty ones."""
    present = masks.flatten(1).any(dim=1)
    masks = masks[present]
    return Instances(size, boxes_of_masks(masks), classes[present], PixelMasks(masks), crowd=crowd[present])


def change_geometry(
    image: Tensor, masks: Tensor, settings: AugmentSettings, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Flips, maps and bends a photo `[3, H, W]` and its masks `[N, H, W]` bool alike; sizes stay."""
    size = (image.shape[1], image.shape[2])
    if float(torch.rand((), generator=generator)) < settings.flip:
        image, masks = image.flip(-1), masks.flip(-1)
    affine = draw_affine(settings, size, generator)
    displacement = _piecewise_affine(settings, size, generator)
    mean = [float(v) for v in image.mean(dim=(1, 2))]
    if not torch.equal(affine, torch.eye(3)):
        image, masks = _warp(affine, image, masks, mean)
    if displacement is not None:
        image = transforms.elastic(image, displacement, InterpolationMode.BILINEAR, mean)
        masks = _if_any(masks, lambda m: transforms.elastic(m, displacement, InterpolationMode.NEAREST, [0.0]))
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


def _warp(affine: Tensor, image: Tensor, masks: Tensor, fill: list[float]) -> tuple[Tensor, Tensor]:
    """Photo and masks through a map of pixels; torchvision's perspective takes its inverse."""
    inverse = torch.linalg.inv(affine.double())
    coefficients = [float(v) for v in inverse[:2].flatten()] + [0.0, 0.0]
    image = transforms.perspective(image, None, None, InterpolationMode.BILINEAR, fill, coefficients=coefficients)
    masks = _if_any(
        masks,
        lambda m: transforms.perspective(m, None, None, InterpolationMode.NEAREST, [0.0], coefficients=coefficients),
    )
    return image, masks


def _if_any(masks: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    return change(masks.float()) > 0.5 if len(masks) else masks


def _piecewise_affine(settings: AugmentSettings, size: tuple[int, int], generator: torch.Generator) -> Tensor | None:
    """Displacements `[1, H, W, 2]`: random at the points of a coarse grid, linear in between, none at the border."""
    if not _happens(settings.piecewise_affine, generator):
        return None
    points = torch.zeros((1, 2, GRID + 1, GRID + 1))
    inner = torch.rand((1, 2, GRID - 1, GRID - 1), generator=generator)
    points[..., 1:-1, 1:-1] = (2 * inner - 1) * settings.piecewise_affine.max * 2  # torchvision's unit is half a side
    return F.interpolate(points, size=size, mode="bilinear", align_corners=True).permute(0, 2, 3, 1)


def change_light(image: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Changes brightness, contrast, saturation, blur and sharpness of a photo `[3, H, W]` in 0..1."""
    brightness, contrast, saturation = (
        _factor(part, generator) for part in (settings.brightness, settings.contrast, settings.saturation)
    )
    if brightness != 1:
        image = transforms.adjust_brightness(image, brightness)
    if contrast != 1:
        image = transforms.adjust_contrast(image, contrast)
    if saturation != 1:
        image = transforms.adjust_saturation(image, saturation)
    sigma = _uniform(0, settings.blur.max, generator)
    if _happens(settings.blur, generator) and sigma > 0.05:
        image = transforms.gaussian_blur(image, [2 * round(3 * sigma) + 1] * 2, [sigma, sigma])
    sharpness = _uniform(0, settings.sharpen.max, generator)
    if _happens(settings.sharpen, generator):
        image = transforms.adjust_sharpness(image, 1 + sharpness)
    return image


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
