"""Geometric changes: flip, one affine map (scale, stretch, shift, rotate, shear), then a piecewise affine map.

Photo and masks use the same map. The photo is interpolated linearly, masks take the nearest pixel. Areas from outside
the photo get its mean colour.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from clothseg.config import AugmentSettings
from clothseg.dataset.augment.draws import between, factor, happens, offset, zoom

GRID = 4
"""Cells of the piecewise affine grid along a side."""


def move(image: Tensor, masks: Tensor, settings: AugmentSettings, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Moves the pixels of a photo `[3, H, W]` and its masks `[N, H, W]` bool in the same way. Sizes do not change."""
    size = (image.shape[1], image.shape[2])
    if float(torch.rand((), generator=generator)) < settings.flip:
        image, masks = image.flip(-1), masks.flip(-1)
    affine = draw_affine(settings, size, generator)
    displacement = _draw_piecewise_affine(settings, size, generator)
    fill = [float(v) for v in image.mean(dim=(1, 2))]
    if not torch.equal(affine, torch.eye(3)):
        image, masks = _apply_affine(affine, image, masks, fill)
    if displacement is not None:
        image = transforms.elastic(image, displacement, InterpolationMode.BILINEAR, fill)
        masks = _if_any(masks, lambda m: transforms.elastic(m, displacement, InterpolationMode.NEAREST, [0.0]))
    return image, masks


def draw_affine(settings: AugmentSettings, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Draws a random affine map `[3, 3]` around the middle of a photo of `size` (height, width).

    It maps the old x y of a pixel to the new ones.
    """
    height, width = size
    scale = factor(settings.scale, generator)
    x, y = scale * factor(settings.stretch, generator), scale * factor(settings.stretch, generator)
    shift = [offset(settings.shift, generator) * width, offset(settings.shift, generator) * height]
    angle, shear = (math.radians(offset(part, generator)) for part in (settings.rotate, settings.shear))
    jitter = zoom(*settings.large_scale_jitter, generator) if settings.large_scale_jitter else 1.0
    jitter_shift = [abs(jitter - 1) / 2 * side * between(-1, 1, generator) for side in (width, height)]
    rotation = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    shearing = torch.tensor([[1.0, math.tan(shear)], [0.0, 1.0]])
    middle = torch.tensor([width / 2, height / 2])
    map_ = torch.eye(3)
    map_[:2, :2] = jitter * rotation @ shearing @ torch.diag(torch.tensor([x, y]))
    map_[:2, 2] = middle - map_[:2, :2] @ middle + torch.tensor(shift) + torch.tensor(jitter_shift)
    return map_


def _apply_affine(affine: Tensor, image: Tensor, masks: Tensor, fill: list[float]) -> tuple[Tensor, Tensor]:
    """Applies an affine map to photo and masks. torchvision's perspective takes the inverse map."""
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


def _draw_piecewise_affine(
    settings: AugmentSettings, size: tuple[int, int], generator: torch.Generator
) -> Tensor | None:
    """Draws displacements of a coarse grid's points, linear in between: `[1, H, W, 2]`. The photo's edges stay."""
    if not happens(settings.piecewise_affine, generator):
        return None
    points = torch.zeros((1, 2, GRID + 1, GRID + 1))
    inner = torch.rand((1, 2, GRID - 1, GRID - 1), generator=generator)
    points[..., 1:-1, 1:-1] = (2 * inner - 1) * settings.piecewise_affine.max * 2  # torchvision's unit is half a side
    return torch.nn.functional.interpolate(points, size=size, mode="bilinear", align_corners=True).permute(0, 2, 3, 1)
