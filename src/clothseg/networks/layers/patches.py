"""What a 3 x 3 convolution reads at some cells of the FPN levels, so that it need not be computed at all of them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


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


def patches_3x3(features: list[Tensor], neighbours: Tensor, cell: Tensor) -> Tensor:
    """The 3 x 3 cells around each of `cell` `[B, S]`; zeros beyond the edges.

    Args:
        features: FPN levels `[B, C, h, w]`.
        neighbours: `[N, 9]`, as `neighbours_3x3` gives them.
        cell: `[B, S]` int64, numbers among the cells of all levels.

    Returns:
        `[B * S, C * 9]`.
    """
    batch, channels = features[0].shape[:2]
    maps = [feature.flatten(2).transpose(1, 2) for feature in features]
    rows = torch.cat([*maps, maps[0].new_zeros((batch, 1, channels))], dim=1)
    place = neighbours[cell]
    if batch > 1:
        place = place + torch.arange(batch, device=cell.device)[:, None, None] * rows.shape[1]
    # The gradient of an index adds up in the order in which threads finish; that of an embedding in a fixed order.
    found = F.embedding(place.view(-1, 9), rows.reshape(-1, channels))
    return found.transpose(1, 2).flatten(1)
