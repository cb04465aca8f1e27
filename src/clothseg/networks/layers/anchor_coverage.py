"""How well anchors fit the boxes that they should find, and scales that fit better."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clothseg.config import Config
from clothseg.instances import from_xywh
from clothseg.networks.build import conventions_for
from clothseg.networks.input import from_photo, place_window
from clothseg.networks.layers.anchors import cell_anchors
from clothseg.networks.mask_rcnn.conventions import Conventions
from clothseg.networks.resize import padded_size

IOUS = (0.5, 0.7)
POOR = 0.9
"""Below this share of boxes reached at IoU 0.5 other scales are looked for."""

Size = tuple[int, int]
Scales = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Reach:
    """How many boxes have an anchor that lies well over them.

    Attributes:
        boxes: how many boxes were looked at.
        shares: the share of them with an anchor of at least an IoU, by IoU.
        scales: of the anchors.
        better: scales that reach more boxes at IoU 0.5, or None where there is no need or they are none.
        better_shares: what those would reach.
    """

    boxes: int
    shares: dict[float, float]
    scales: Scales
    better: Scales | None = None
    better_shares: dict[float, float] | None = None


def boxes_in_network(config: Config, photos: Sequence[tuple[Size, Tensor]]) -> tuple[Tensor, Tensor]:
    """Boxes as the network sees them.

    Args:
        config: of the network.
        photos: height and width of each, and boxes `[N, 4]` as COCO has them, x y width height.

    Returns:
        boxes of all photos `[N, 4]`, x1 y1 x2 y2 in pixels of the padded input; the input's height and width `[N, 2]`.
    """
    conventions = conventions_for(config)
    boxes, inputs = [torch.zeros((0, 4))], [torch.zeros((0, 2), dtype=torch.int64)]
    for size, found in photos:
        resized = config.picture.resized(size, conventions.size_rounding)
        padded = padded_size([resized], config.picture, conventions)
        boxes.append(from_photo(from_xywh(found), place_window(resized, padded, conventions), size))
        inputs.append(torch.tensor(padded).expand(len(found), 2))
    return torch.cat(boxes), torch.cat(inputs)


def best_overlaps(config: Config, scales: Scales, boxes: Tensor, inputs: Tensor) -> Tensor:
    """The IoU `[N]` of each box with the anchor that overlaps it most.

    Of anchors of one shape it is the one whose centre is nearest, so only that one is looked at.

    Args:
        config: of the network; its own scales are not used.
        scales: for each level.
        boxes, inputs: as `boxes_in_network` gives them.
    """
    conventions = conventions_for(config)
    best = boxes.new_zeros(len(boxes), dtype=torch.float64)
    boxes = boxes.double()
    for level, sides in zip(config.pyramid.levels, scales, strict=True):
        for cell in cell_anchors(sides, config.anchors.ratios, conventions):
            anchors = _nearest(cell, level, boxes, inputs, conventions)
            best = torch.maximum(best, _overlap(boxes, anchors))
    return best


def _nearest(cell: Tensor, level: int, boxes: Tensor, inputs: Tensor, conventions: Conventions) -> Tensor:
    """For each box the anchor of the shape `cell` on one level whose centre is nearest."""
    cells = -(-inputs // 2**level)
    step = inputs // cells if conventions.anchor_step == "fitted" else torch.full_like(inputs, 2**level)
    cells, step = cells.flip(1).double(), step.flip(1).double()  # x before y
    wanted = (boxes[:, :2] + boxes[:, 2:] - cell[:2] - cell[2:]) / 2
    places = torch.minimum((wanted / step).round().clamp(min=0), cells - 1) * step
    return places.repeat(1, 2) + cell


def _overlap(boxes: Tensor, others: Tensor) -> Tensor:
    """IoU `[N]` of boxes `[N, 4]` with `others` `[N, 4]`, each with its own."""
    sides = (torch.minimum(boxes, others)[:, 2:] - torch.maximum(boxes, others)[:, :2]).clamp(min=0)
    inside = sides.prod(dim=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) + (others[:, 2:] - others[:, :2]).prod(dim=1)
    return inside / (areas - inside).clamp(min=1e-9)


def measure_reach(config: Config, photos: Sequence[tuple[Size, Tensor]]) -> Reach:
    """How many boxes the anchors of a configuration reach, and other scales where those are few.

    Args:
        config: of the network.
        photos: as for `boxes_in_network`, without crowds.
    """
    boxes, inputs = boxes_in_network(config, photos)
    scales = config.anchors.scales
    shares = _shares(best_overlaps(config, scales, boxes, inputs))
    if not len(boxes) or shares[0.5] >= POOR:
        return Reach(len(boxes), shares, scales)
    better = fitting_scales(boxes, len(scales), len(scales[0]))
    better_shares = _shares(best_overlaps(config, better, boxes, inputs))
    if better_shares[0.5] < shares[0.5] + 0.02:
        return Reach(len(boxes), shares, scales)
    return Reach(len(boxes), shares, scales, better, better_shares)


def fitting_scales(boxes: Tensor, levels: int, per_level: int, rounds: int = 50) -> Scales:
    """Side lengths for anchors: the means of as many groups of the boxes' sides (k-means of their logarithms).

    Args:
        boxes: `[N, 4]`, at least one.
        levels: of the pyramid, finest first.
        per_level: side lengths on each.
        rounds: most rounds of k-means.
    """
    logs = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1).double().log2().mean(dim=1)
    count = levels * per_level
    centres = torch.quantile(logs, (torch.arange(count, dtype=torch.float64) + 0.5) / count)
    for _ in range(rounds):
        nearest = (logs[:, None] - centres).abs().argmin(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, logs)
        sizes = torch.bincount(nearest, minlength=count)
        moved = torch.where(sizes > 0, sums / sizes.clamp(min=1), centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    sides = [float(round(side)) for side in centres.exp2().sort().values.tolist()]
    return tuple(tuple(sides[level * per_level : (level + 1) * per_level]) for level in range(levels))


def _shares(overlaps: Tensor) -> dict[float, float]:
    return {iou: float((overlaps >= iou).double().mean()) if len(overlaps) else 0.0 for iou in IOUS}
