"""The feature pyramid network (FPN), and the cells of its levels as rows of one table.

With the table a convolution need not be computed at all cells, and boxes of all levels are pooled in one operation.

Source: Lin et al., Feature Pyramid Networks (2017).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clothseg.config import FpnSettings
from clothseg.networks.layers.norms import make_norm


@dataclass(frozen=True)
class FpnConventions:
    """How an implementation computes a pyramid.

    Attributes:
        upsampling: of a coarse level that is added to the next finer one.
        activated: a ReLU follows the last convolution of each level of the backbone.
        extra: levels beyond the backbone's are the coarsest one `subsampled`, or `convolved` with stride 2.
    """

    upsampling: Literal["nearest", "bilinear"] = "nearest"
    activated: bool = False
    extra: Literal["subsampled", "convolved"] = "subsampled"


class FeaturePyramid(nn.Module):
    """Projects the backbone's outputs to one width, and adds each coarse level to the next finer one.

    Args:
        in_channels: channels of the backbone's outputs, finest first.
        settings: channels, levels and norm; levels beyond the backbone's come from the coarsest one.
        norm_eps: epsilon of the norms.
        conventions: the arithmetic to follow.
    """

    def __init__(
        self,
        in_channels: list[int],
        settings: FpnSettings,
        norm_eps: float = 1e-5,
        conventions: FpnConventions | None = None,
    ) -> None:
        super().__init__()
        self.conventions = conventions or FpnConventions()
        extra, norm = len(settings.levels) - len(in_channels), make_norm(settings.norm, norm_eps)

        def convolution(channels: int, size: int, stride: int = 1) -> nn.Module:
            layer = nn.Conv2d(channels, settings.channels, size, stride, padding=size // 2, bias=norm is None)
            nn.init.kaiming_uniform_(layer.weight, a=1)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            return nn.Sequential(layer, norm(settings.channels)) if norm else nn.Sequential(layer)

        self.lateral = nn.ModuleList(convolution(channels, 1) for channels in in_channels)
        self.smooth = nn.ModuleList(convolution(settings.channels, 3) for _ in in_channels)
        self.subsampled = extra if self.conventions.extra == "subsampled" else 0
        if self.conventions.extra == "convolved":
            self.extra = nn.ModuleList(convolution(settings.channels, 3, stride=2) for _ in range(extra))

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Levels `[B, channels, h, w]`, finest first."""
        merged = [lateral(x) for lateral, x in zip(self.lateral, features, strict=True)]
        for i in range(len(merged) - 2, -1, -1):
            merged[i].add_(F.interpolate(merged[i + 1], size=merged[i].shape[-2:], mode=self.conventions.upsampling))
        levels = [smooth(x) for smooth, x in zip(self.smooth, merged, strict=True)]
        if self.conventions.activated:
            levels = [torch.relu_(level) for level in levels]
        for _ in range(self.subsampled):
            levels.append(F.max_pool2d(levels[-1], kernel_size=1, stride=2))
        for convolution in self.extra if self.conventions.extra == "convolved" else ():
            levels.append(convolution(levels[-1]))
        return levels


@dataclass(frozen=True)
class LevelRows:
    """The cells of all FPN levels.

    Attributes:
        rows: `[B, R, C]`, the cells of one level after the other, row by row; more rows may follow.
        sizes: height and width of each level.
    """

    rows: Tensor
    sizes: tuple[tuple[int, int], ...]

    @property
    def firsts(self) -> list[int]:
        """The row of each level's first cell."""
        return [*accumulate((height * width for height, width in self.sizes[:-1]), initial=0)]


def join(parts: Sequence[Tensor]) -> Tensor:
    """Tensors of several photos one after the other; that of a single photo is not copied."""
    return torch.cat([*parts]) if len(parts) > 1 else parts[0]


def level_rows(features: Sequence[Tensor]) -> LevelRows:
    """The cells of FPN levels `[B, C, h, w]`, and a last row of zeros, which stands for all that lies beyond them."""
    batch, channels = features[0].shape[:2]
    maps = [feature.flatten(2).transpose(1, 2) for feature in features]
    rows = torch.cat([*maps, maps[0].new_zeros((batch, 1, channels))], dim=1)
    return LevelRows(rows, tuple((feature.shape[2], feature.shape[3]) for feature in features))


def neighbours_3x3(sizes: Sequence[tuple[int, int]]) -> Tensor:
    """The 3 x 3 cells around each cell of maps of these heights and widths, in the order of a convolution's weights.

    Returns:
        `[N, 9]` int64, N being the cells of all maps, which are numbered one map after the other, row by row. Beyond a
        map's edges there is N.
    """
    total, first, tables = sum(height * width for height, width in sizes), 0, []
    for height, width in sizes:
        cells = torch.arange(first, first + height * width).view(height, width)
        padded = F.pad(cells, (1, 1, 1, 1), value=total)
        tables.append(padded.unfold(0, 3, 1).unfold(1, 3, 1).reshape(-1, 9))
        first += height * width
    return torch.cat(tables)


def patches_3x3(levels: LevelRows, neighbours: Tensor, cell: Tensor) -> Tensor:
    """The 3 x 3 cells around each of `cell` `[B, S]`; zeros beyond the edges.

    Args:
        levels: as `level_rows` gives them.
        neighbours: `[N, 9]`, as `neighbours_3x3` gives them.
        cell: `[B, S]` int64, numbers among the cells of all levels.

    Returns:
        `[B * S, C * 9]`.
    """
    batch, count, channels = levels.rows.shape
    place = neighbours[cell]
    if batch > 1:
        place = place + torch.arange(batch, device=cell.device)[:, None, None] * count
    # The gradient of an index adds up in the order in which threads finish; that of an embedding in a fixed order.
    found = F.embedding(place.view(-1, 9), levels.rows.reshape(-1, channels))
    return found.transpose(1, 2).flatten(1)
