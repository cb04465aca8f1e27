"""Features of boxes from the pyramid level that suits their size. Source: Feature Pyramid Networks, equation 1."""

import math

import torch
from torch import Tensor
from torchvision.ops import box_area, roi_align

from clothseg.networks.layers.gathering import gather_boxes
from clothseg.networks.mask_rcnn.conventions import Conventions

_TOGETHER = 64  # boxes pooled at once on a CPU: what comes of them stays in its cache


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

    On a CPU they come from `gather_boxes`; elsewhere they are torchvision's to the last digit.

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
    photo = torch.cat([torch.full_like(b[:, 0], i, dtype=torch.int64) for i, b in enumerate(boxes)])
    level = box_levels(everything, strides_log2, conventions, level_side, padded)
    answer = features[0].new_zeros((len(everything), features[0].shape[1], size, size))
    few = gathers(features[0]) and not torch.is_grad_enabled()
    together = _TOGETHER if few else max(len(everything), 1)
    for feature, number in zip(for_pooling(features), strides_log2, strict=True):
        for here in torch.split(torch.where(level == number)[0], together):
            pooled = _pool_level(feature, photo[here], everything[here], size, conventions, 2.0**-number)
            answer.index_copy_(0, here, pooled.to(answer.dtype))
    return answer


def gathers(feature: Tensor) -> bool:
    """Whether boxes are pooled by `gather_boxes`."""
    return feature.device.type == "cpu"


def for_pooling(features: list[Tensor]) -> list[Tensor]:
    """The same maps in the memory order in which boxes are pooled fastest; those that have it are not copied."""
    if not gathers(features[0]):
        return features
    return [feature.contiguous(memory_format=torch.channels_last) for feature in features]


def _pool_level(
    feature: Tensor, photo: Tensor, boxes: Tensor, size: int, conventions: Conventions, scale: float
) -> Tensor:
    """Features `[P, C, size, size]` of boxes that belong to one level."""
    if conventions.pooling == "sample":
        return sample_boxes(feature, photo, boxes, size)
    samples, aligned = conventions.roi_samples, conventions.roi_aligned
    if gathers(feature):
        return gather_boxes(feature, photo, boxes, size, scale=scale, samples=samples, aligned=aligned)
    placed = torch.cat([photo[:, None].to(boxes), boxes], dim=1)
    answer: Tensor = roi_align(feature, placed, size, scale, samples, aligned)
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
