"""Features of boxes from the pyramid level that suits their size. Source: Feature Pyramid Networks, equation 1."""

import math

import torch
from torch import Tensor
from torchvision.ops import box_area, roi_align

from clothseg.networks.conventions import Conventions
from clothseg.networks.pooling_table import pool_by_table


def pool_boxes(
    features: list[Tensor],
    strides_log2: tuple[int, ...],
    boxes: list[Tensor],
    size: int,
    conventions: Conventions,
    level_side: float,
    padded: tuple[int, int],
) -> Tensor:
    """Features of every box.

    A CPU that learns takes them by `pool_by_table`; elsewhere they are torchvision's to the last digit.

    Args:
        features: pyramid levels `[B, C, h, w]`, finest first.
        strides_log2: the level of each, as power of two.
        boxes: for each photo `[P, 4]` in the network's own coordinates.
        size: cells along a side of the answer.
        conventions: sampling and choice of level.
        level_side: side in pixels of a box that belongs to the level `conventions.level_at`.
        padded: height and width of the network's input.

    Returns:
        `[sum of P, C, size, size]`, photo by photo.
    """
    everything = torch.cat(boxes)
    photo = torch.cat([torch.full_like(b[:, :1], i) for i, b in enumerate(boxes)])
    level = box_levels(everything, strides_log2, conventions, level_side, padded)
    learns = torch.is_grad_enabled() and everything.is_cpu
    if learns and conventions.pooling != "sample" and conventions.roi_samples > 0:
        return pool_by_table(
            features, strides_log2, everything, photo[:, 0].long(), level, size, conventions.roi_samples,
            aligned=conventions.roi_aligned,
        )  # fmt: skip
    answer = features[0].new_zeros((len(everything), features[0].shape[1], size, size))
    for feature, number in zip(features, strides_log2, strict=True):
        here = torch.where(level == number)[0]
        if conventions.pooling == "sample":
            pooled = sample_boxes(feature, photo[here, 0].long(), everything[here], size)
        else:
            pooled = roi_align(
                feature,
                torch.cat([photo[here], everything[here]], dim=1),
                size,
                spatial_scale=2.0**-number,
                sampling_ratio=conventions.roi_samples,
                aligned=conventions.roi_aligned,
            )
        answer = answer.index_copy(0, here, pooled.to(answer.dtype))
    return answer


def box_levels(
    boxes: Tensor,
    strides_log2: tuple[int, ...],
    conventions: Conventions,
    level_side: float,
    padded: tuple[int, int],
) -> Tensor:
    """The level `[P]`, as power of two of its stride, that each of `boxes` `[P, 4]` is pooled from."""
    unit = math.sqrt(padded[0] * padded[1]) if conventions.normalised_boxes else 1.0
    side = box_area(boxes).sqrt() / (level_side / unit) + conventions.side_eps
    level = conventions.level_at + torch.log2(side) + conventions.level_eps
    level = level.round() if conventions.level_rounding == "half_even" else level.floor()
    return level.clamp(strides_log2[0], strides_log2[-1])


def sample_boxes(feature: Tensor, photo: Tensor, boxes: Tensor, size: int, chunk: int = 256) -> Tensor:
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
