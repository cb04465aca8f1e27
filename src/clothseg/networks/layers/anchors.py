"""Anchor boxes: the same few shapes at every cell of every pyramid level."""

import torch
from torch import Tensor

from clothseg.config import Anchors
from clothseg.networks.mask_rcnn.conventions import Conventions


def cell_anchors(scales: tuple[float, ...], ratios: tuple[float, ...], conventions: Conventions) -> Tensor:
    """Boxes `[A, 4]` float64 round the origin; ratio is height / width at the same area."""
    side = torch.tensor(scales, dtype=torch.float64)
    root = torch.tensor(ratios, dtype=torch.float64).sqrt()[:, None]
    widths, heights = side / root, side * root
    if conventions.scales_outer:
        widths, heights = widths.T, heights.T
    widths, heights = widths.flatten(), heights.flatten()
    cell = torch.stack([-widths, -heights, widths, heights], dim=1) / 2
    return cell.round() if conventions.round_anchors else cell


def make_anchors(
    settings: Anchors,
    levels: tuple[int, ...],
    sizes: list[tuple[int, int]],
    padded: tuple[int, int],
    conventions: Conventions,
) -> list[Tensor]:
    """Anchors of all levels.

    Args:
        settings: scales and ratios.
        levels: the pyramid levels, as powers of two of their strides, finest first.
        sizes: height and width of each level.
        padded: height and width of the network's input.
        conventions: order, steps and rounding.

    Returns:
        for each level `[h * w * A, 4]` float64, x1 y1 x2 y2 in pixels of the input, in the order row, column, shape.
    """
    anchors = []
    fitted = conventions.anchor_step == "fitted"
    for level, (height, width), scales in zip(levels, sizes, settings.scales, strict=True):
        cell = cell_anchors(scales, settings.ratios, conventions)
        y = torch.arange(height) * (padded[0] // height if fitted else 2**level)
        x = torch.arange(width) * (padded[1] // width if fitted else 2**level)
        rows, columns = torch.meshgrid(y, x, indexing="ij")
        centres = torch.stack([columns, rows, columns, rows], dim=-1).reshape(-1, 1, 4)
        anchors.append((centres + cell).reshape(-1, 4))
    return anchors
