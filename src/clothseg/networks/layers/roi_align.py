"""Features of boxes from the FPN level that suits their size.

Sources: He et al., Mask R-CNN (2017), section 3 (RoI Align); Lin et al., Feature Pyramid Networks (2017), equation 1.

Torchvision's `roi_align` works on one thread of a CPU, channel by channel. `roi_align_cpu` computes each cell of the
answer as a weighted sum of rows, a row being all channels of one place, and `embedding_bag` adds rows up on all
threads: the same answer up to the last digits, in a fifth of the time or less; so is its gradient.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_area, roi_align

from clothseg import cpu_path
from clothseg.networks.layers.crop_and_resize import crop_and_resize, crop_and_resize_levels
from clothseg.networks.layers.fpn import LevelRows, join, level_rows

_CPU_CHUNK = 64  # boxes pooled at once on a CPU: the answer stays in its cache
_BEYOND = -100.0  # cells of the coarsest map: a box there has no sample on any map


@dataclass(frozen=True)
class RoiAlignConventions:
    """How an implementation pools boxes.

    Attributes:
        method: `align` is RoI Align; `crop_and_resize` takes one bilinear sample a cell, the first and last on the
            box's edges, of normalised boxes.
        sampling_ratio: sampling points of RoI Align along a cell's side; 0 takes as many as the cell has pixels.
        aligned: whether RoI Align shifts by half a pixel.
        canonical_level: the FPN level of a box of the canonical size.
        level_rounding: of the level of a box.
        level_eps, side_eps: added to the level, and to the side over the canonical size, before rounding.
    """

    method: Literal["align", "crop_and_resize"] = "align"
    sampling_ratio: int = 2
    aligned: bool = False
    canonical_level: int = 4
    level_rounding: Literal["down", "half_even"] = "down"
    level_eps: float = 1e-6
    side_eps: float = 0.0


@dataclass(frozen=True)
class LocatedBoxes:
    """Boxes, and where their features come from.

    Attributes:
        boxes: `[P, 4]` in network coordinates.
        photo: `[P]` int64, which of the batch a box lies on.
        level: `[P]` float, its FPN level, as the power of two of the level's stride.
    """

    boxes: Tensor
    photo: Tensor
    level: Tensor

    def select(self, rows: Tensor) -> "LocatedBoxes":
        """Those at the positions `rows` `[N]` int64."""
        return LocatedBoxes(self.boxes[rows], self.photo[rows], self.level[rows])


def locate_boxes(
    boxes: Sequence[Tensor] | Tensor, levels: tuple[int, ...], conventions: RoiAlignConventions, canonical_size: float
) -> LocatedBoxes:
    """The boxes of all photos, one photo after the other.

    Args:
        boxes: for each photo `[P, 4]` in network coordinates; or `[B, P, 4]`.
        levels: from which boxes are pooled, as powers of two of their strides.
        conventions: choice of level.
        canonical_size: side, in network coordinates, of a box that belongs to `conventions.canonical_level`.
    """
    if isinstance(boxes, Tensor):
        every = boxes.flatten(0, 1)
        photo = torch.arange(len(boxes), device=boxes.device)[:, None].expand(boxes.shape[:2]).flatten()
    else:
        every = join(boxes)
        photo = join([torch.full_like(b[:, 0], i, dtype=torch.int64) for i, b in enumerate(boxes)])
    return LocatedBoxes(every, photo, box_levels(every, levels, conventions, canonical_size))


def roi_align_levels(
    features: list[Tensor],
    levels: tuple[int, ...],
    located: LocatedBoxes,
    size: int,
    conventions: RoiAlignConventions,
    rows: LevelRows | None = None,
) -> Tensor:
    """Features of every box. On a CPU they come from `roi_align_cpu`; elsewhere they are torchvision's exactly.

    Elsewhere nothing depends on values. With RoI Align each level pools all boxes, of which those of other levels lie
    beyond its map; there a box costs little and gives zeros, so that the sum over levels is the answer.

    Args:
        features: FPN levels `[B, C, h, w]`, finest first.
        levels: the level of each, as the power of two of its stride.
        located: the boxes, as `locate_boxes` gives them for these levels.
        size: cells along a side of the answer.
        conventions: of sampling.
        rows: the cells of these levels, perhaps of others after them; computed if they are needed and not given.

    Returns:
        `[P, C, size, size]`.
    """
    if not cpu_path.uses_cpu_path(features[0]):
        if conventions.method == "crop_and_resize":
            return _crop_and_resize_located(rows or level_rows(features), levels, located, size)
        return _pool_each_level(features, levels, located, size, conventions)
    answer = features[0].new_zeros((len(located.boxes), features[0].shape[1], size, size))
    chunk = max(len(located.boxes), 1) if torch.is_grad_enabled() else _CPU_CHUNK
    for feature, level in zip(to_pooling_layout(features), levels, strict=True):
        for here in torch.split(torch.where(located.level == level)[0], chunk):
            pooled = _pool_level(feature, located.photo[here], located.boxes[here], size, conventions, 2.0**-level)
            answer.index_copy_(0, here, pooled.to(answer.dtype))
    return answer


def to_pooling_layout(features: list[Tensor]) -> list[Tensor]:
    """The same maps in the memory order in which boxes are pooled fastest; those that have it are not copied."""
    return [cpu_path.in_fast_order(feature) for feature in features]


def _crop_and_resize_located(rows: LevelRows, levels: tuple[int, ...], located: LocatedBoxes, size: int) -> Tensor:
    level = located.level.nan_to_num(levels[0])  # boxes are NaN once a network has diverged
    return crop_and_resize_levels(rows, (level - levels[0]).long(), located.photo, located.boxes, size)


def _pool_each_level(
    features: list[Tensor], levels: tuple[int, ...], located: LocatedBoxes, size: int, conventions: RoiAlignConventions
) -> Tensor:
    """Features `[P, C, size, size]` of the boxes, summed over the levels; of those, one gives more than zeros."""
    count = len(located.boxes)
    level = torch.arange(levels[0], levels[0] + len(levels), device=located.level.device)[:, None, None]
    elsewhere = located.level[:, None] != level
    placed = located.boxes.expand(len(levels), -1, -1).masked_fill(elsewhere, _BEYOND * 2.0 ** levels[-1])
    photo = located.photo[:, None].to(placed).expand(len(levels), count, 1)
    regions = torch.cat([photo, placed], dim=2).unbind(0)
    samples, aligned = conventions.sampling_ratio, conventions.aligned
    parts = (
        roi_align(feature, of_level, size, 2.0**-number, samples, aligned).to(feature.dtype)
        for feature, of_level, number in zip(features, regions, levels, strict=True)
    )
    answer: Tensor = functools.reduce(torch.Tensor.add_, parts)
    return answer


def _pool_level(
    feature: Tensor, photo: Tensor, boxes: Tensor, size: int, conventions: RoiAlignConventions, scale: float
) -> Tensor:
    """Features `[P, C, size, size]` of boxes that belong to one level, on a CPU."""
    if conventions.method == "crop_and_resize":
        return crop_and_resize(feature, photo, boxes, size)
    samples, aligned = conventions.sampling_ratio, conventions.aligned
    return roi_align_cpu(feature, photo, boxes, size, scale=scale, samples=samples, aligned=aligned)


def box_levels(
    boxes: Tensor, levels: tuple[int, ...], conventions: RoiAlignConventions, canonical_size: float
) -> Tensor:
    """The level `[P]`, as the power of two of its stride, from which each of `boxes` `[P, 4]` is pooled."""
    side = _plus(box_area(boxes).sqrt() / canonical_size, conventions.side_eps)
    level = _plus(conventions.canonical_level + torch.log2(side), conventions.level_eps)
    level = level.round() if conventions.level_rounding == "half_even" else level.floor()
    return level.clamp(levels[0], levels[-1])


def _plus(values: Tensor, number: float) -> Tensor:
    return values + number if number else values


def roi_align_cpu(
    feature: Tensor, photo: Tensor, boxes: Tensor, size: int, *, scale: float, samples: int, aligned: bool
) -> Tensor:
    """What `torchvision.ops.roi_align` computes, on a CPU.

    Without gradients it is quickest for some dozens of boxes at a time, whose result fits the processor's cache.

    Args:
        feature: `[B, C, h, w]`; copied unless it is channels-last.
        photo: `[P]` int64, which of the batch a box lies on.
        boxes: `[P, 4]`, x1 y1 x2 y2 in pixels of the input.
        size: cells along a side of the answer.
        scale: from pixels of the input to cells of the map.
        samples: sampling points along a cell's side; 0 takes as many as the cell has pixels.
        aligned: whether boxes are shifted by half a cell of the map.

    Returns:
        `[P, C, size, size]`, float32.
    """
    channels, height, width = feature.shape[1:]
    rows = feature.permute(0, 2, 3, 1).reshape(-1, channels).contiguous().float()
    placed = boxes * scale - (0.5 if aligned else 0.0)
    sides = placed[:, 2:] - placed[:, :2]
    if not aligned:
        sides = sides.clamp(min=1.0)
    counts = (sides / size).ceil() if samples == 0 else torch.full_like(sides, samples)
    answer = rows.new_zeros((len(boxes), channels, size * size))
    for points, here in _by_points(counts, samples):
        x, x_weights = _taps(placed[here, 0], sides[here, 0] / size, counts[here, 0], width, size, points)
        y, y_weights = _taps(placed[here, 1], sides[here, 1] / size, counts[here, 1], height, size, points)
        base = (photo[here] * (height * width))[:, None, None, None, None]
        index = base + (y * width)[:, :, None, :, None] + x[:, None, :, None, :]
        weights = y_weights[:, :, None, :, None] * x_weights[:, None, :, None, :]
        taps = (2 * points) ** 2
        cells = F.embedding_bag(index.view(-1, taps), rows, per_sample_weights=weights.view(-1, taps), mode="sum")
        answer[here] = cells.view(len(here), size * size, channels).transpose(1, 2)
    return answer.view(-1, channels, size, size)


def _by_points(counts: Tensor, samples: int) -> list[tuple[int, Tensor]]:
    """Boxes with the same number of sampling points, by that number; boxes without any are left out."""
    if samples:
        return [(samples, torch.arange(len(counts), device=counts.device))]
    most = counts.amax(dim=1).long()
    return [(points, torch.where(most == points)[0]) for points in sorted(set(most[most > 0].tolist()))]


def _taps(first: Tensor, side: Tensor, counts: Tensor, end: int, size: int, points: int) -> tuple[Tensor, Tensor]:
    """The cells of a map, along one axis of `end` cells, that are summed for each cell of each box.

    Args:
        first: `[P]`, where the boxes begin.
        side: `[P]`, of a cell of the answer.
        counts: `[P]`, sampling points of a cell, at most `points`.
        end: cells of the map.
        size: cells of the answer.
        points: each point reads its two neighbours.

    Returns:
        positions `[P, size, 2 * points]` int64, and their weights.
    """
    number, point = (torch.arange(n, device=first.device) for n in (size, points))
    number = number[:, None]
    first, side, counts = (v[:, None, None] for v in (first, side, counts))
    divisor = counts.clamp(min=1)
    place = first + number * side + (point + 0.5) * side / divisor
    inside = (place >= -1) & (place <= end) & (point < counts)
    place = place.clamp(0, end - 1)
    before = place.floor()
    after = (before + 1).clamp(max=end - 1)
    share = place - before
    weights = torch.stack([1 - share, share], dim=-1) * (inside / divisor)[..., None]
    return torch.stack([before, after], dim=-1).long().flatten(-2), weights.flatten(-2)
