"""What the box and mask heads learn from: sampled proposals, and their masks."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import roi_align

from clothseg.config import BoxHeadSettings
from clothseg.networks.input import InputPlacement, Target, network_to_resized
from clothseg.networks.layers.matching import match_boxes, sample
from clothseg.networks.layers.roi_align import crop_and_resize
from clothseg.networks.mask_rcnn.conventions import Conventions


@torch.no_grad()
def sample_proposals(
    proposals: Sequence[Tensor],
    targets: Sequence[Target],
    settings: BoxHeadSettings,
    generators: Sequence[torch.Generator],
) -> tuple[list[Tensor], list[Tensor]]:
    """Samples the boxes that the heads learn from, the true boxes among them.

    Args:
        proposals: for each photo `[P, 4]` in network coordinates.
        targets: ground truth, boxes in network coordinates.
        settings: IoU thresholds and counts.
        generators: one for each photo, on the CPU.

    Returns:
        for each photo the boxes `[S, 4]`, and for each box the index of its ground truth, or a negative number `[S]`.
    """
    boxes, matched = [], []
    for proposal, target, generator in zip(proposals, targets, generators, strict=True):
        candidates = torch.cat([proposal, target.boxes])
        matches = match_boxes(
            candidates,
            target.boxes,
            target.ignored,
            foreground=settings.foreground_iou,
            background=settings.background_iou,
            keep_best=False,
        )
        chosen = torch.cat(sample(matches, settings.samples, settings.positive_fraction, generator)).sort().values
        boxes.append(candidates[chosen])
        matched.append(matches[chosen])
    return boxes, matched


def mask_targets(
    masks: Tensor, boxes: Tensor, matches: Tensor, size: int, placement: InputPlacement, conventions: Conventions
) -> Tensor:
    """What the mask head should give for boxes with an object.

    Args:
        masks: `[N, h, w]` uint8, the ground truth on the resized photo.
        boxes: `[P, 4]` in network coordinates.
        matches: `[P]`, the mask of each box.
        size: side of the answer.
        placement: where the photo lies in the input.
        conventions: how masks are sampled, and whether the answer is thresholded.

    Returns:
        `[P, size, size]` float in 0..1.
    """
    if not len(boxes):
        return boxes.new_zeros((0, size, size))
    placed = network_to_resized(boxes, placement, conventions.input)
    if conventions.roi_align.method == "crop_and_resize":
        last = placed.new_tensor([placement.width - 1, placement.height - 1] * 2).clamp(min=1)
        normalised = (placed - placed.new_tensor([0, 0, 1, 1])) / last
        cut = crop_and_resize(masks[:, None].to(placed), matches, normalised, size)
    else:
        regions = torch.cat([matches[:, None].to(placed), placed], dim=1)
        aligned = conventions.roi_align.aligned
        cut = roi_align(masks[:, None].to(placed), regions, size, spatial_scale=1.0, aligned=aligned)
    return (cut[:, 0] >= 0.5).to(placed.dtype) if conventions.binary_mask_targets else cut[:, 0]
