"""Anchor boxes: the same few shapes at every cell of every pyramid level."""

import torch
from torch import Tensor

from clothseg.config import Anchors


def cell_anchors(scales: tuple[float, ...], ratios: tuple[float, ...]) -> Tensor:
    """Boxes `[A, 4]` round the origin, ratios outer, scales inner; ratio is height / width at the same area."""
    side = torch.tensor(scales)
    root = torch.tensor(ratios).sqrt()[:, None]
    widths, heights = (side / root).flatten(), (side * root).flatten()
    return (torch.stack([-widths, -heights, widths, heights], dim=1) / 2).round()


def make_anchors(settings: Anchors, features: list[Tensor], padded: tuple[int, int]) -> list[Tensor]:
    """Anchors of all levels.

    Args:
        settings: scales and ratios.
        features: pyramid levels `[B, C, h, w]`, finest first.
        padded: height and width of the network's input.

    Returns:
        for each level `[h * w * A, 4]`, x1 y1 x2 y2 in pixels of the input, in the order row, column, shape.
    """
    levels = []
    for feature, scales in zip(features, settings.scales, strict=True):
        height, width = feature.shape[-2:]
        cell = cell_anchors(scales, settings.ratios).to(feature.device)
        y = torch.arange(height, device=feature.device) * (padded[0] // height)
        x = torch.arange(width, device=feature.device) * (padded[1] // width)
        rows, columns = torch.meshgrid(y, x, indexing="ij")
        centres = torch.stack([columns, rows, columns, rows], dim=-1).reshape(-1, 1, 4)
        levels.append((centres + cell).reshape(-1, 4))
    return levels
