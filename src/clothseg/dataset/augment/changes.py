"""Random changes of a photo: its geometry (flip, zoom, stretch, shift, turn, shear, piecewise affine), and its light.

All random numbers come from the given generator, so that a view is repeatable.

Geometry: the photo is interpolated and the masks take the nearest pixel, both through the same map; what comes from
outside is the photo's mean colour. Bytes are moved with OpenCV, which is several times as fast as sampling tensors on a
grid. Masks are moved one after another: those of a photo with hundreds of objects do not fit into memory together.
Of an object without a mask the box moves, as that of an ellipse; see `Geometry.boxes`.

Light works on floats, which are rounded to bytes once at the end.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from clothseg.config import AugmentSettings, Strength
from clothseg.instances.rle import BoolMask

GRID = 4
"""Cells of the piecewise affine grid along a side."""
_OUTLINE = 64  # points of an ellipse; multiples of 4, so that a box that is not turned stays exact
_STEPS = 8  # of a fixed point; each one makes the error a part of it, because neighbours move alike
Colour = Sequence[float]
Pixels = NDArray[Any]


@dataclass(frozen=True)
class Geometry:
    """A change of geometry for photos and masks of one size.

    Attributes:
        flip: whether left and right change places, before anything else.
        affine: `[3, 3]`, see `draw_affine`; None: none.
        displacement: `[2, H, W]` (x, y), from where each pixel is taken after that; None: none.
    """

    flip: bool
    affine: Tensor | None
    displacement: Tensor | None

    def image(self, image: Tensor) -> Tensor:
        """A changed photo `[3, H, W]` uint8."""
        image = image.flip(-1) if self.flip else image
        if self.affine is None and self.displacement is None:
            return image
        pixels = image.permute(1, 2, 0).contiguous().numpy()
        return torch.from_numpy(self._moved(pixels, cv2.INTER_LINEAR, cv2.mean(pixels)[:3])).permute(2, 0, 1)

    def mask(self, mask: BoolMask) -> BoolMask:
        """A changed mask `[H, W]`."""
        mask = mask[:, ::-1] if self.flip else mask
        pixels = np.ascontiguousarray(mask).view(np.uint8)
        return np.asarray(self._moved(pixels, cv2.INTER_NEAREST, (0.0,)).view(np.bool_))

    def boxes(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        """Changed boxes `[N, 4]`, not cut at the photo's edges, of objects whose masks are not known.

        An object fills its box more like an ellipse than to the corners. So the box of a turned object is that of the
        turned ellipse in it: for a turn by t it is sqrt((w cos t)^2 + (h sin t)^2) wide, not w cos t + h sin t, which
        grows too much.

        Source: Kalra et al., Towards Rotation Invariance in Object Detection (ICCV 2021).

        Args:
            boxes: x1 y1 x2 y2 in pixels.
            size: height and width of the photo.
        """
        if self.flip:
            boxes = torch.stack([size[1] - boxes[:, 2], boxes[:, 1], size[1] - boxes[:, 0], boxes[:, 3]], dim=1)
        if self.affine is None and self.displacement is None:
            return boxes
        angles = torch.arange(_OUTLINE) * (2 * math.pi / _OUTLINE)
        middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
        points = middle[:, None] + half[:, None] * torch.stack([angles.cos(), angles.sin()], dim=1)
        if self.affine is not None:
            points = points @ self.affine[:2, :2].T + self.affine[:2, 2]
        if self.displacement is not None:
            points = _bent(points, self.displacement)
        return torch.cat([points.amin(dim=1), points.amax(dim=1)], dim=1)

    def _moved(self, pixels: Pixels, flags: int, border: Colour) -> Pixels:
        if self.affine is not None:
            pixels = _warp(pixels, self.affine, flags, border)
        if self.displacement is not None:
            pixels = _bend(pixels, self.displacement, flags, border)
        return pixels


def draw_geometry(settings: AugmentSettings, size: tuple[int, int], generator: torch.Generator) -> Geometry:
    """A random change of photos of `size` (height, width)."""
    flip = float(torch.rand((), generator=generator)) < settings.flip
    affine = draw_affine(settings, size, generator)
    displacement = _piecewise_affine(settings, size, generator)
    return Geometry(flip, None if torch.equal(affine, torch.eye(3)) else affine, displacement)


def draw_affine(settings: AugmentSettings, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """A random map `[3, 3]` from pixels of a photo of `size` (height, width) to where they go, about its centre."""
    height, width = size
    scale = factor(settings.scale, generator)
    x, y = scale * factor(settings.stretch, generator), scale * factor(settings.stretch, generator)
    shift = [offset(settings.shift, generator) * width, offset(settings.shift, generator) * height]
    angle, shear = (math.radians(offset(part, generator)) for part in (settings.rotate, settings.shear))
    jitter = log_uniform(*settings.large_scale_jitter, generator) if settings.large_scale_jitter else 1.0
    jitter_shift = [abs(jitter - 1) / 2 * side * uniform(-1, 1, generator) for side in (width, height)]
    rotation = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    shearing = torch.tensor([[1.0, math.tan(shear)], [0.0, 1.0]])
    centre = torch.tensor([width / 2, height / 2])
    affine = torch.eye(3)
    affine[:2, :2] = jitter * rotation @ shearing @ torch.diag(torch.tensor([x, y]))
    affine[:2, 2] = centre - affine[:2, :2] @ centre + torch.tensor(shift) + torch.tensor(jitter_shift)
    return affine


def _warp(pixels: Pixels, affine: Tensor, flags: int, border: Colour) -> Pixels:
    """Pixels `[H, W, ...]` through a map. In OpenCV, 0 is the middle of the first pixel, not its edge."""
    matrix = torch.linalg.inv(affine.double())[:2].numpy()
    matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    flags |= cv2.WARP_INVERSE_MAP
    width_height = (pixels.shape[1], pixels.shape[0])
    return cv2.warpAffine(pixels, matrix, width_height, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=border)


def _bend(pixels: Pixels, displacement: Tensor, flags: int, border: Colour) -> Pixels:
    """Pixels `[H, W, ...]`, each taken from `displacement` `[2, H, W]` (x, y) pixels away."""
    height, width = displacement.shape[1:]
    x = (torch.arange(width) + displacement[0]).numpy()
    y = (torch.arange(height)[:, None] + displacement[1]).numpy()
    return cv2.remap(pixels, x, y, flags, borderMode=cv2.BORDER_CONSTANT, borderValue=border)


def _bent(points: Tensor, displacement: Tensor) -> Tensor:
    """Where points `[..., 2]` (x, y) go if each pixel is taken from `displacement` away: p with p + d(p) = point."""
    height, width = displacement.shape[1:]
    limit = points.new_tensor([width - 1, height - 1])
    moved = points
    for _ in range(_STEPS):
        x, y = moved.floor().clamp(min=0).minimum(limit).long().unbind(-1)
        moved = points - displacement[:, y, x].movedim(0, -1)
    return moved


def _piecewise_affine(settings: AugmentSettings, size: tuple[int, int], generator: torch.Generator) -> Tensor | None:
    """Displacements `[2, H, W]` (x, y): random at the points of a coarse grid, linear in between, 0 at the border."""
    if not happens(settings.piecewise_affine, generator):
        return None
    points = torch.zeros((1, 2, GRID + 1, GRID + 1))
    inner = torch.rand((1, 2, GRID - 1, GRID - 1), generator=generator)
    sides = torch.tensor([size[1], size[0]])[:, None, None]
    points[..., 1:-1, 1:-1] = (2 * inner - 1) * settings.piecewise_affine.max * sides
    return F.interpolate(points, size=size, mode="bilinear", align_corners=True)[0]


def change_light(image: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Changes brightness, contrast, saturation, blur and sharpness of a photo `[3, H, W]` uint8."""
    brightness, contrast, saturation = (
        factor(part, generator) for part in (settings.brightness, settings.contrast, settings.saturation)
    )
    sigma = uniform(0, settings.blur.max, generator)
    blurs = happens(settings.blur, generator) and sigma > 0.05
    sharpness = uniform(0, settings.sharpen.max, generator)
    sharpens = happens(settings.sharpen, generator)
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
        window = [min(2 * round(3 * sigma) + 1, 2 * side - 1) for side in (image.shape[2], image.shape[1])]
        pixels = transforms.gaussian_blur(pixels, window, [sigma, sigma])  # it mirrors the photo at its edges, once
    if sharpens:
        pixels = transforms.adjust_sharpness(pixels, 1 + sharpness)
    return (pixels * 255).round().to(torch.uint8)


def happens(change: Strength, generator: torch.Generator) -> bool:
    """Whether a change applies to this photo. It always draws a number, so that changes do not shift one another."""
    return float(torch.rand((), generator=generator)) < change.p and change.max > 0


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """A number from `low` to `high`."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def factor(change: Strength, generator: torch.Generator) -> float:
    """A factor from 1 - max to 1 + max, or 1 where the change does not apply."""
    drawn = uniform(1 - change.max, 1 + change.max, generator)
    return drawn if happens(change, generator) else 1.0


def offset(change: Strength, generator: torch.Generator) -> float:
    """A number from -max to max, or 0 where the change does not apply."""
    drawn = uniform(-change.max, change.max, generator)
    return drawn if happens(change, generator) else 0.0


def log_uniform(low: float, high: float, generator: torch.Generator) -> float:
    """A factor from `low` to `high`, as likely below its geometric mean as above."""
    return math.exp(uniform(math.log(low), math.log(high), generator))
