"""Anchor boxes: the same few shapes at every cell of every FPN level, and those of the last inputs kept."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from clothseg.config import AnchorSettings
from clothseg.devices import WITHOUT_FLOAT64
from clothseg.networks.placement import InputConventions, Size, to_network_coords
from clothseg.networks.transfer import TensorCache, to_device


@dataclass(frozen=True)
class AnchorConventions:
    """How an implementation lays out anchors.

    Attributes:
        step: anchors are a level's `stride` apart, or `fitted` evenly, by whole pixels, into an input that it does not
            divide, the first in the corner; `centred`: each lies in the middle of one of the level's equal cells.
        scales_outer: of several scales and ratios on a level, all ratios of the first scale come first.
        round_corners: the corners of anchors around the origin are whole pixels.
        square: anchors are as high as they are wide, whatever the ratio.
    """

    step: Literal["stride", "fitted", "centred"] = "fitted"
    scales_outer: bool = False
    round_corners: bool = True
    square: bool = False

    def steps(self, side: Tensor, cells: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        """Where the anchors of a level lie along an axis: the distance between them, and the place of the first.

        Args:
            side: int64, of the input.
            cells: int64, of the level.
            stride: of the level.
        """
        if self.step == "centred":
            step = side.double() / cells
            return step, step / 2
        step = side // cells if self.step == "fitted" else torch.full_like(side, stride)
        return step, torch.zeros_like(step)


def cell_anchors(scales: tuple[float, ...], ratios: tuple[float, ...], conventions: AnchorConventions) -> Tensor:
    """Boxes `[A, 4]` float64 around the origin; a ratio is height over width, at the same area.

    The area is another one for `square` anchors, which take the width that their ratio gives.
    """
    side = torch.tensor(scales, dtype=torch.float64)
    root = torch.tensor(ratios, dtype=torch.float64).sqrt()[:, None]
    widths, heights = side / root, side / root if conventions.square else side * root
    if conventions.scales_outer:
        widths, heights = widths.T, heights.T
    widths, heights = widths.flatten(), heights.flatten()
    cell = torch.stack([-widths, -heights, widths, heights], dim=1) / 2
    return cell.round() if conventions.round_corners else cell


def make_anchors(
    settings: AnchorSettings,
    levels: tuple[int, ...],
    sizes: list[tuple[int, int]],
    padded: tuple[int, int],
    conventions: AnchorConventions,
) -> list[Tensor]:
    """Anchors of all levels.

    Args:
        settings: scales and ratios.
        levels: the FPN levels, as powers of two of their strides, finest first.
        sizes: height and width of each level.
        padded: height and width of the network's input.
        conventions: order, steps and rounding.

    Returns:
        for each level `[h * w * A, 4]` float64, x1 y1 x2 y2 in pixels of the input, in the order row, column, shape.
    """
    anchors = []
    for level, (height, width), scales in zip(levels, sizes, settings.scales, strict=True):
        cell = cell_anchors(scales, settings.ratios, conventions)
        step, first = conventions.steps(torch.tensor(padded), torch.tensor((height, width)), 2**level)
        y, x = (torch.arange(cells) * step[axis] + first[axis] for axis, cells in enumerate((height, width)))
        rows, columns = torch.meshgrid(y, x, indexing="ij")
        centres = torch.stack([columns, rows, columns, rows], dim=-1).reshape(-1, 1, 4)
        anchors.append((centres + cell).reshape(-1, 4))
    return anchors


class CachedAnchors:
    """Anchors, kept for the sizes of the last inputs.

    Args:
        settings: scales and ratios.
        levels: the FPN levels, as powers of two of their strides, finest first.
        conventions: order, steps and rounding.
        coordinates: of the network.
    """

    def __init__(
        self,
        settings: AnchorSettings,
        levels: tuple[int, ...],
        conventions: AnchorConventions,
        coordinates: InputConventions,
    ) -> None:
        self.settings, self.levels = settings, levels
        self.conventions, self.coordinates = conventions, coordinates
        self._exact, self._derived = TensorCache(4), TensorCache(4)

    def exact(self, sizes: Sequence[Size], padded: Size, device: torch.device) -> Tensor:
        """Anchors `[N, 4]` float64 of all levels, in pixels of the input; on the CPU if `device` has no float64.

        Args:
            sizes: height and width of each level.
            padded: height and width of the input.
            device: of the network.
        """
        place = torch.device("cpu") if device.type in WITHOUT_FLOAT64 else device

        def make() -> tuple[Tensor, ...]:
            levels = make_anchors(self.settings, self.levels, [*sizes], padded, self.conventions)
            return (to_device(torch.cat(levels), place),)

        return self._exact.get((tuple(sizes), padded, place), make)[0]

    def in_network_coords(self, anchors: Tensor, padded: Size, device: torch.device) -> Tensor:
        """Anchors in network coordinates `[N, 4]` float32, from `exact` ones."""
        return self._derive(
            anchors, (padded, device), lambda: to_network_coords(anchors, padded, self.coordinates).to(device)
        )

    def in_pixels(self, anchors: Tensor, device: torch.device) -> Tensor:
        """Anchors `[N, 4]` as float32, from `exact` ones."""
        return self._derive(anchors, device, lambda: anchors.float().to(device))

    def _derive(self, anchors: Tensor, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """What `make` computes from anchors. The cache holds them too, so that no others get the same id."""
        return self._derived.get((id(anchors), key), lambda: (anchors, make()))[1]
