"""Crop and resize: one bilinear sample for each cell of the answer, from normalised boxes.

Source: `tf.image.crop_and_resize`, which Matterport's Mask R-CNN uses in place of RoI Align. `crop_and_resize` works on
one map, a few boxes at a time, which suits a CPU; `crop_and_resize_levels` pools all boxes from all levels in a few
operations, which suits a GPU. Both give the same up to rounding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.networks.layers.fpn import LevelRows
from clothseg.networks.transfer import to_device


def crop_and_resize(feature: Tensor, photo: Tensor, boxes: Tensor, size: int, chunk: int = 256) -> Tensor:
    """One bilinear sample a cell; the first and last lie on the box's edges, those beyond the map's edges are 0.

    Args:
        feature: `[B, C, h, w]`.
        photo: `[P]` int64, which of the batch a box lies on.
        boxes: `[P, 4]`, normalised: 0 is the centre of the first row or column, 1 that of the last.
        size: cells along a side of the answer.
        chunk: boxes worked on at a time, so that the four neighbours need little memory.

    Returns:
        `[P, C, size, size]`.
    """
    height, width = feature.shape[-2:]
    rows, columns = _places(boxes[:, 1], boxes[:, 3], height, size), _places(boxes[:, 0], boxes[:, 2], width, size)
    flat = feature.permute(0, 2, 3, 1).reshape(-1, feature.shape[1])
    parts = [flat.new_zeros((0, size, size, flat.shape[1]))]
    for y, x, number in zip(*(torch.split(v, chunk) for v in (rows, columns, photo)), strict=True):
        inside = ((y >= 0) & (y <= height - 1))[:, :, None] & ((x >= 0) & (x <= width - 1))[:, None, :]
        top, left = y.floor(), x.floor()
        down, right = (y - top)[:, :, None, None], (x - left)[:, None, :, None]
        first_row, last_row = (v.clamp(0, height - 1).long()[:, :, None] for v in (top, y.ceil()))
        first_column, last_column = (v.clamp(0, width - 1).long()[:, None, :] for v in (left, x.ceil()))
        base = (number * height * width)[:, None, None]

        def corner(row: Tensor, column: Tensor, base: Tensor = base) -> Tensor:
            return flat[base + row * width + column]

        upper, lower = corner(first_row, first_column), corner(last_row, first_column)
        upper = upper + (corner(first_row, last_column) - upper) * right
        lower = lower + (corner(last_row, last_column) - lower) * right
        parts.append((upper + (lower - upper) * down) * inside[..., None])
    return torch.cat(parts).permute(0, 3, 1, 2)


def _places(first: Tensor, last: Tensor, side: int, size: int) -> Tensor:
    """Where the samples lie `[P, size]`, in cells of the map.

    The order of these roundings is the Keras implementation's: a box that ends at 1.0 may come out a rounding beyond
    the map, and then its last row or column is 0.
    """
    step = (last - first) * (side - 1) / (size - 1)
    numbers = torch.arange(size, device=first.device, dtype=first.dtype)
    return (first * (side - 1))[:, None] + numbers * step[:, None]


def crop_and_resize_levels(levels: LevelRows, index: Tensor, photo: Tensor, boxes: Tensor, size: int) -> Tensor:
    """What `crop_and_resize` gives on each box's own level, up to rounding, in one pass over all boxes.

    Args:
        levels: the rows of the levels.
        index: `[P]` int64, which of the levels a box is pooled from; not looked at if there is one.
        photo: `[P]` int64, which of the batch it lies on.
        boxes: `[P, 4]`, normalised.
        size: cells along a side of the answer.

    Returns:
        `[P, C, size, size]`, float32.
    """
    rows, sizes = levels.rows, zip(levels.sizes, levels.firsts, strict=True)
    of_box = to_device(torch.tensor([(w - 1, h - 1, w, first) for (h, w), first in sizes]), boxes.device)
    of_box = of_box[index] if len(of_box) > 1 else of_box
    cells, shares, inside = _corners(boxes, of_box[:, :2], size)
    first_row = photo * rows.shape[1] + of_box[:, 3] if len(rows) > 1 else of_box[:, 3]
    starts = torch.addcmul(first_row[:, None, None], cells[:, 1], of_box[:, 2, None, None])
    place = starts[:, :, None, :, None] + cells[:, 0, None, :, None]
    weights = torch.stack([1 - shares, shares], dim=-1) * inside[..., None]
    weights = weights[:, 1, :, None, :, None] * weights[:, 0, None, :, None]
    table_rows = rows.reshape(-1, rows.shape[2]).float()
    pooled = F.embedding_bag(place.view(-1, 4), table_rows, per_sample_weights=weights.view(-1, 4), mode="sum")
    return pooled.view(-1, size, size, rows.shape[2]).permute(0, 3, 1, 2).contiguous()


def _corners(boxes: Tensor, last: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where the samples of `crop_and_resize` lie along both axes, x before y.

    The order of these roundings is the Keras implementation's: a box that ends at 1.0 may come out a rounding beyond
    the map, and then its last row or column is 0.

    Args:
        boxes: `[P, 4]`, normalised.
        last: `[2]` or `[P, 2]`, the last column and row of the map.
        size: samples along an axis.

    Returns:
        the two cells `[P, 2, size, 2]` int64 around each sample, how far it is from the first to the second
        `[P, 2, size]`, and whether it is on the map `[P, 2, size]` bool; one that is not gets the first cell.
    """
    step = (boxes[:, 2:] - boxes[:, :2]) * last / (size - 1)
    numbers = torch.arange(size, device=boxes.device, dtype=boxes.dtype)
    place = (boxes[:, :2] * last)[..., None] + numbers * step[..., None]
    inside = (place >= 0) & (place <= last[..., None])
    place = place.masked_fill(~inside, 0.0)
    before = place.floor()
    return torch.stack([before, place.ceil()], dim=-1).long(), place - before, inside
