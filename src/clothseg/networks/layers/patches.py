"""The cells of all FPN levels as rows of one table, and what a 3 x 3 convolution reads at some of them.

So a convolution need not be computed at all cells, and boxes of all levels are pooled in one operation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor


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
