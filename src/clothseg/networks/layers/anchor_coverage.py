"""How well anchors cover the boxes that they should find, and scales that cover them better."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from clothseg.config import AnchorSettings
from clothseg.instances import from_xywh
from clothseg.networks.input import InputTransform
from clothseg.networks.layers.anchors import AnchorConventions, cell_anchors
from clothseg.networks.placement import Size, image_to_input

IOUS = (0.5, 0.7)
POOR = 0.9
"""Below this recall at IoU 0.5 other scales are searched."""

Scales = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class AnchorCoverage:
    """How many boxes have an anchor that overlaps them well.

    Attributes:
        boxes: number of boxes.
        recall: fraction of them with an anchor of at least an IoU, by IoU.
        scales: of the anchors.
        better: scales that cover more boxes at IoU 0.5, or None if there is no need or there are none.
        better_recall: what those would cover.
    """

    boxes: int
    recall: dict[float, float]
    scales: Scales
    better: Scales | None = None
    better_recall: dict[float, float] | None = None

    def summary(self) -> str:
        """How well the anchors fit, and what would fit better."""
        if not self.boxes:
            return "no boxes to cover: every photo is without objects"
        text = f"cover {self.recall[0.5]:.0%} of the {self.boxes} boxes at IoU 0.5, {self.recall[0.7]:.0%} at IoU 0.7"
        if self.better is None or self.better_recall is None:
            return text if self.recall[0.5] >= POOR else f"{text}; other scales do not help, other ratios may"
        scales = [list(level) for level in self.better]
        better = f"{self.better_recall[0.5]:.0%} and {self.better_recall[0.7]:.0%}"
        return f"{text}; better: network.anchors.scales={scales} with {better}"

    def problem(self) -> str:
        """What keeps boxes from being learned; empty if every box is covered at IoU 0.5."""
        if not self.boxes or self.recall[0.5] == 1:
            return ""
        sides = [scale for level in self.scales for scale in level]
        better = f"; better scales: {[list(level) for level in self.better]}" if self.better else ""
        return (
            f"no anchor covers {1 - self.recall[0.5]:.0%} of the boxes at IoU 0.5; network.anchors.scales go from "
            f"{min(sides):g} to {max(sides):g} pixels{better}"
        )

    def facts(self) -> dict[str, Any]:
        """The same for `run.json`."""
        return {
            "boxes": self.boxes,
            "recall": {str(iou): round(share, 4) for iou, share in self.recall.items()},
            "scales": [list(level) for level in self.scales],
            "suggested_scales": [list(level) for level in self.better] if self.better else None,
            "suggested_recall": {str(iou): round(share, 4) for iou, share in self.better_recall.items()}
            if self.better_recall
            else None,
        }


@dataclass(frozen=True)
class AnchorLayout:
    """Where anchors are.

    Attributes:
        transform: of the network's input.
        levels: FPN levels, as powers of two of their strides.
        settings: scales and ratios.
        conventions: steps and rounding.
    """

    transform: InputTransform
    levels: tuple[int, ...]
    settings: AnchorSettings
    conventions: AnchorConventions


def boxes_in_input(transform: InputTransform, photos: Sequence[tuple[Size, Tensor]]) -> tuple[Tensor, Tensor]:
    """Boxes as the network sees them.

    Args:
        transform: of the network's input.
        photos: height and width of each, and boxes `[N, 4]` as COCO has them, x y width height.

    Returns:
        boxes of all photos `[N, 4]`, x1 y1 x2 y2 in pixels of the padded input; the input's height and width `[N, 2]`.
    """
    boxes, inputs = [torch.zeros((0, 4))], [torch.zeros((0, 2), dtype=torch.int64)]
    for size, found in photos:
        placement = transform.place(size)
        boxes.append(image_to_input(from_xywh(found), placement))
        inputs.append(torch.tensor(placement.padded).expand(len(found), 2))
    return torch.cat(boxes), torch.cat(inputs)


def best_ious(layout: AnchorLayout, scales: Scales, boxes: Tensor, inputs: Tensor) -> Tensor:
    """The IoU `[N]` of each box with the anchor that overlaps it most.

    Of anchors of one shape it is the one with the nearest centre, so only that one is compared.

    Args:
        layout: of the anchors; its own scales are not used.
        scales: for each level.
        boxes, inputs: as `boxes_in_input` gives them.
    """
    best = boxes.new_zeros(len(boxes), dtype=torch.float64)
    boxes = boxes.double()
    for level, sides in zip(layout.levels, scales, strict=True):
        for cell in cell_anchors(sides, layout.settings.ratios, layout.conventions):
            anchors = _nearest(cell, level, boxes, inputs, layout.conventions)
            best = torch.maximum(best, _paired_iou(boxes, anchors))
    return best


def _nearest(cell: Tensor, level: int, boxes: Tensor, inputs: Tensor, conventions: AnchorConventions) -> Tensor:
    """The anchor of the shape `cell` on one level whose centre is nearest to each box."""
    cells = -(-inputs // 2**level)
    step, first = (part.flip(1).double() for part in conventions.steps(inputs, cells, 2**level))  # x before y
    nearest = (boxes[:, :2] + boxes[:, 2:] - cell[:2] - cell[2:]) / 2
    numbers = ((nearest - first) / step).round().clamp(min=0)
    corners = torch.minimum(numbers, cells.flip(1).double() - 1) * step + first
    return corners.repeat(1, 2) + cell


def _paired_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """IoU `[N]` of boxes `[N, 4]` with `others` `[N, 4]`, each with its own."""
    sides = (torch.minimum(boxes, others)[:, 2:] - torch.maximum(boxes, others)[:, :2]).clamp(min=0)
    inside = sides.prod(dim=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) + (others[:, 2:] - others[:, :2]).prod(dim=1)
    return inside / (areas - inside).clamp(min=1e-9)


def measure_anchor_coverage(layout: AnchorLayout, photos: Sequence[tuple[Size, Tensor]]) -> AnchorCoverage:
    """How many boxes the anchors cover, and other scales if those are few.

    Args:
        layout: of the anchors.
        photos: as for `boxes_in_input`, without crowds.
    """
    boxes, inputs = boxes_in_input(layout.transform, photos)
    scales = layout.settings.scales
    recall = _recall(best_ious(layout, scales, boxes, inputs))
    if not len(boxes) or recall[0.5] >= POOR:
        return AnchorCoverage(len(boxes), recall, scales)
    better = suggest_scales(boxes, len(scales), len(scales[0]))
    better_recall = _recall(best_ious(layout, better, boxes, inputs))
    if better_recall[0.5] < recall[0.5] + 0.02:
        return AnchorCoverage(len(boxes), recall, scales)
    return AnchorCoverage(len(boxes), recall, scales, better, better_recall)


def suggest_scales(boxes: Tensor, levels: int, per_level: int, rounds: int = 50) -> Scales:
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


def _recall(overlaps: Tensor) -> dict[float, float]:
    return {iou: float((overlaps >= iou).double().mean()) if len(overlaps) else 0.0 for iou in IOUS}
