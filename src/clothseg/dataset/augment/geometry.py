"""Changes of place: flip, zoom, stretch, shift, turn and shear in one resampling, then waves.

The photo is interpolated, the masks take the nearest pixel, both through the same map; what comes from outside is the
photo's mean colour.
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
"""Cells of the waves' grid along a side."""


def move(image: Tensor, masks: Tensor, settings: AugmentSettings, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Move a photo `[3, H, W]` and its masks `[N, H, W]` bool alike; sizes stay."""
    size = (image.shape[1], image.shape[2])
    if float(torch.rand((), generator=generator)) < settings.flip:
        image, masks = image.flip(-1), masks.flip(-1)
    affine = draw_affine(settings, size, generator)
    waves = _waves(settings, size, generator)
    grey = [float(v) for v in image.mean(dim=(1, 2))]
    if not torch.equal(affine, torch.eye(3)):
        image, masks = _through(affine, image, masks, grey)
    if waves is not None:
        image = transforms.elastic(image, waves, InterpolationMode.BILINEAR, grey)
        masks = _if_any(masks, lambda m: transforms.elastic(m, waves, InterpolationMode.NEAREST, [0.0]))
    return image, masks


def draw_affine(settings: AugmentSettings, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """A random map `[3, 3]` from pixels of a photo of `size` (height, width) to where they go, about its middle."""
    height, width = size
    alike = factor(settings.scale, generator)
    x, y = alike * factor(settings.stretch, generator), alike * factor(settings.stretch, generator)
    shift = [offset(settings.shift, generator) * width, offset(settings.shift, generator) * height]
    angle, shear = (math.radians(offset(part, generator)) for part in (settings.rotate, settings.shear))
    jitter = zoom(*settings.large_scale_jitter, generator) if settings.large_scale_jitter else 1.0
    room = [abs(jitter - 1) / 2 * side * between(-1, 1, generator) for side in (width, height)]
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    lean = torch.tensor([[1.0, math.tan(shear)], [0.0, 1.0]])
    middle = torch.tensor([width / 2, height / 2])
    map_ = torch.eye(3)
    map_[:2, :2] = jitter * turn @ lean @ torch.diag(torch.tensor([x, y]))
    map_[:2, 2] = middle - map_[:2, :2] @ middle + torch.tensor(shift) + torch.tensor(room)
    return map_


def _through(affine: Tensor, image: Tensor, masks: Tensor, grey: list[float]) -> tuple[Tensor, Tensor]:
    """Photo and masks through a map of pixels; torchvision's perspective takes the way back."""
    back = torch.linalg.inv(affine.double())
    coefficients = [float(v) for v in back[:2].flatten()] + [0.0, 0.0]
    image = transforms.perspective(image, None, None, InterpolationMode.BILINEAR, grey, coefficients=coefficients)
    masks = _if_any(
        masks,
        lambda m: transforms.perspective(m, None, None, InterpolationMode.NEAREST, [0.0], coefficients=coefficients),
    )
    return image, masks


def _if_any(masks: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    return change(masks.float()) > 0.5 if len(masks) else masks


def _waves(settings: AugmentSettings, size: tuple[int, int], generator: torch.Generator) -> Tensor | None:
    """Displacements `[1, H, W, 2]` of a coarse grid's points, linear in between (piecewise affine); the rim stays."""
    if not happens(settings.piecewise_affine, generator):
        return None
    points = torch.zeros((1, 2, GRID + 1, GRID + 1))
    inner = torch.rand((1, 2, GRID - 1, GRID - 1), generator=generator)
    points[..., 1:-1, 1:-1] = (2 * inner - 1) * settings.piecewise_affine.max * 2  # torchvision's unit is half a side
    return torch.nn.functional.interpolate(points, size=size, mode="bilinear", align_corners=True).permute(0, 2, 3, 1)
