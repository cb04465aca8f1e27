"""RoI Align as one sparse product: a table of weights times the cells of all levels.

Each cell of the answer is a weighted sum of few cells of the features. With the weights in a table the product and its
gradient are two passes over whole rows of channels, which a CPU does several times as fast as box by box.
Source: He et al., Mask R-CNN (2017), section 3.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def pool_by_table(
    features: list[Tensor],
    strides_log2: tuple[int, ...],
    boxes: Tensor,
    photo: Tensor,
    level: Tensor,
    size: int,
    samples: int,
    *,
    aligned: bool,
) -> Tensor:
    """What `torchvision.ops.roi_align` gives for each box from its own level, but for the last digits.

    Args:
        features: levels `[B, C, h, w]`.
        strides_log2: power of two of each level's stride.
        boxes: `[P, 4]` in pixels of the input.
        photo: `[P]` int64, which of the batch a box lies on.
        level: `[P]`, the power of two of the stride of the level that a box is pooled from.
        size: cells along a side of the answer.
        samples: points along a side of each cell, 1 or more.
        aligned: as of `roi_align`.

    Returns:
        `[P, C, size, size]`, in the type of the features.
    """
    channels, device = features[0].shape[1], boxes.device
    number = level.long() - strides_log2[0]
    sides = torch.tensor([f.shape[-2:] for f in features], device=device)
    counts = [len(f) * f.shape[-2] * f.shape[-1] for f in features]
    firsts = torch.tensor([sum(counts[:i]) for i in range(len(counts))], device=device)
    height, width = sides[number].unbind(-1)
    scaled = boxes.float() * torch.exp2(-level.float())[:, None] - (0.5 if aligned else 0.0)
    least = 0.0 if aligned else 1.0
    rows, row_weights = _points(scaled[:, 1], scaled[:, 3], height, size, samples, least)
    columns, column_weights = _points(scaled[:, 0], scaled[:, 2], width, size, samples, least)
    first = firsts[number] + photo * height * width
    places = rows * width[:, None, None] + first[:, None, None]
    table = places[:, :, None, :, None] + columns[:, None, :, None, :]
    weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
    cells = torch.cat([f.permute(0, 2, 3, 1).reshape(-1, channels) for f in features])
    points = (2 * samples) ** 2
    pooled = F.embedding_bag(
        table.reshape(-1, points), cells.float(), per_sample_weights=weights.reshape(-1, points), mode="sum"
    )
    return pooled.view(len(boxes), size, size, channels).permute(0, 3, 1, 2).to(features[0].dtype)


def _points(low: Tensor, high: Tensor, side: Tensor, size: int, samples: int, least: float) -> tuple[Tensor, Tensor]:
    """Rows (or columns) that each cell of boxes from `low` to `high` `[P]` takes something of, and how much.

    Args:
        low, high: in cells of the features.
        side: `[P]`, rows of the features.
        size: cells of a box.
        samples: points in a cell.
        least: smallest extent of a box.

    Returns:
        positions `[P, size, 2 * samples]` int64, and weights of the same shape; those of points beyond the features'
        edges are 0.
    """
    steps = (torch.arange(size * samples, device=low.device) + 0.5) / samples
    at = low[:, None] + steps * ((high - low).clamp(min=least) / size)[:, None]
    last = (side - 1)[:, None].to(at.dtype)
    inside = (at >= -1) & (at <= last + 1)
    at = torch.minimum(at.clamp(min=0), last)
    before = at.floor()
    part = at - before
    positions = torch.stack([before, torch.minimum(before + 1, last)], dim=-1).long()
    weights = torch.stack([1 - part, part], dim=-1) * inside[..., None] / samples
    shape = (len(low), size, 2 * samples)
    return positions.view(shape), weights.view(shape)
