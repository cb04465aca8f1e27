"""What the box and mask heads learn from, and the five losses of Mask R-CNN."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import roi_align

from clothseg import cpu_path
from clothseg.config import BoxHeadSettings
from clothseg.distributed import SINGLE_PROCESS, DistributedContext
from clothseg.networks.layers.box_targets import IGNORED, draw_keys, match_boxes, match_photos, pad_rows, sample
from clothseg.networks.layers.crop_and_resize import crop_and_resize, crop_and_resize_levels
from clothseg.networks.layers.fpn import LevelRows, join
from clothseg.networks.mask_rcnn.conventions import Conventions
from clothseg.networks.placement import InputConventions, InputPlacement, network_to_resized, to_network_coords
from clothseg.networks.target import Target
from clothseg.networks.transfer import constants, to_device


def targets_in_network_coords(
    targets: Sequence[Target], placements: Sequence[InputPlacement], conventions: InputConventions
) -> list[Target]:
    """The ground truth of photos with its boxes in network coordinates."""
    inside = []
    for target, placement in zip(targets, placements, strict=True):
        boxes, ignored = (
            to_network_coords(b, placement.padded, conventions) if len(b) else b for b in (target.boxes, target.ignored)
        )
        inside.append(replace(target, boxes=boxes, ignored=ignored))
    return inside


@torch.no_grad()
def sample_proposals(
    proposals: Sequence[Tensor] | Tensor,
    targets: Sequence[Target],
    settings: BoxHeadSettings,
    generators: Sequence[torch.Generator],
) -> tuple[Tensor, Tensor]:
    """Samples the boxes that the heads learn from, the true boxes among them.

    Args:
        proposals: for each photo `[P, 4]` in network coordinates; or `[B, P, 4]`.
        targets: ground truth, boxes in network coordinates.
        settings: IoU thresholds and counts.
        generators: one for each photo, on the CPU.

    Returns:
        boxes `[B, S, 4]`, those with an object first, and for each box the index of its ground truth, or NEGATIVE, or
        IGNORED if there were too few boxes to fill its place `[B, S]`. Boxes without extent are not sampled.
    """
    truth = [target.boxes for target in targets]
    counts = [len(proposal) + len(boxes) for proposal, boxes in zip(proposals, truth, strict=True)]
    if isinstance(proposals, Tensor):
        candidates = torch.cat([proposals, pad_rows(truth)[0]], dim=1)
    else:
        candidates, _ = pad_rows([torch.cat(of_photo) for of_photo in zip(proposals, truth, strict=True)])
    match = partial(
        match_boxes, foreground=settings.foreground_iou, background=settings.background_iou, keep_best=False
    )
    matches = match_photos(match, candidates, truth, [target.ignored for target in targets])
    matches = matches.masked_fill_((candidates[..., 2:] <= candidates[..., :2]).any(dim=-1), IGNORED)
    keys = draw_keys(counts, generators, candidates.device)
    chosen, matches = sample(matches, settings.samples, settings.positive_fraction, keys)
    return candidates.gather(1, chosen[..., None].expand(-1, -1, 4)), matches


def matched_rows(tables: Sequence[Sequence[Tensor]], matches: Sequence[Tensor] | Tensor) -> list[Tensor]:
    """The rows of the ground truth that boxes are matched to; boxes without one have any row.

    Args:
        tables: for each photo one or more tensors `[M, ...]` with a row for each of its M objects.
        matches: for each photo `[S]`, indices of its rows, or negative numbers; or `[B, S]`.

    Returns:
        for each of a photo's tensors the rows `[sum of S, ...]`.
    """
    counts = [len(of_photo[0]) for of_photo in tables]
    columns = [join(column) for column in zip(*tables, strict=True)]
    if not sum(counts):
        return [column.new_ones((sum(map(len, matches)), *column.shape[1:])) for column in columns]
    firsts = accumulate(counts[:-1], initial=0)
    if isinstance(matches, Tensor) and len(matches) > 1:
        rows = (matches + to_device(torch.tensor([*firsts]), matches.device)[:, None]).flatten()
    else:
        rows = join([match + first if first else match for match, first in zip(matches, firsts, strict=True)])
    rows = rows.clamp(0, sum(counts) - 1)
    return [column[rows] for column in columns]


def mask_targets(
    masks: Tensor,
    boxes: Tensor,
    matches: Tensor,
    sizes: Sequence[int],
    placement: InputPlacement,
    conventions: Conventions,
) -> list[Tensor]:
    """What the mask head, and perhaps the refinement, should give for boxes with an object.

    Args:
        masks: `[N, h, w]` uint8, the ground truth on the resized photo.
        boxes: `[P, 4]` in network coordinates.
        matches: `[P]`, the mask of each box.
        sizes: sides of the answers.
        placement: where the photo lies in the input.
        conventions: how masks are sampled, and whether the answers are thresholded.

    Returns:
        for each size `[P, size, size]` float in 0..1.
    """
    if not len(boxes):
        return [boxes.new_zeros((0, size, size)) for size in sizes]
    placed = network_to_resized(boxes, placement, conventions.input)
    if conventions.roi_align.method == "crop_and_resize":
        cuts = _crop_masks(masks, placed, matches, sizes, placement)
    else:
        maps, regions = masks[:, None].to(placed), torch.cat([matches[:, None].to(placed), placed], dim=1)
        aligned = conventions.roi_align.aligned
        cuts = [roi_align(maps, regions, size, spatial_scale=1.0, aligned=aligned) for size in sizes]
    if conventions.binary_mask_targets:
        cuts = [(cut >= 0.5).to(placed.dtype) for cut in cuts]
    return [cut[:, 0] for cut in cuts]


def _crop_masks(
    masks: Tensor, boxes: Tensor, matches: Tensor, sizes: Sequence[int], placement: InputPlacement
) -> list[Tensor]:
    """For each size `[P, 1, size, size]` float, cropped from `masks` `[N, h, w]` by boxes `[P, 4]` in resized
    coordinates."""
    last = max(placement.width - 1, 1), max(placement.height - 1, 1)
    corner, scale = constants([[0, 0, 1, 1], last * 2], boxes)
    boxes = (boxes - corner) / scale
    if cpu_path.uses_cpu_path(boxes):
        maps = masks[:, None].to(boxes)
        return [crop_and_resize(maps, matches, boxes, size) for size in sizes]
    rows = LevelRows(masks.flatten(1)[..., None].to(boxes), ((masks.shape[1], masks.shape[2]),))
    return [crop_and_resize_levels(rows, matches, matches, boxes, size) for size in sizes]


def rpn_losses(
    logits: Tensor,
    labels: Tensor,
    deltas: Tensor,
    true_deltas: Tensor,
    budget: int,
    kind: str,
    conventions: Conventions,
    distributed: DistributedContext = SINGLE_PROCESS,
) -> dict[str, Tensor]:
    """Losses of the RPN.

    Args:
        logits: `[S]` of the sampled anchors.
        labels: `[S]` float, 1 for an object, 0 for background, -1 for an anchor that does not count.
        deltas: `[P, 4]`, box deltas of those with label 1; of others too if their true deltas are the same.
        true_deltas: `[P, 4]`, the deltas of their true boxes.
        budget: largest number of anchors that could have been sampled.
        kind: `smooth_l1` or `l2`.
        conventions: what the sums are divided by.
        distributed: the processes whose counts are added up.

    Returns:
        `rpn_class` and `rpn_bbox`.
    """
    logits = logits.float()
    used = labels >= 0
    count = budget if conventions.rpn_average == "budget" else distributed.mean_divisor(used.sum())
    weight = used.to(logits.dtype)
    class_loss = F.binary_cross_entropy_with_logits(logits, labels.clamp(min=0), weight, reduction="sum")
    return {
        "rpn_class": class_loss / count,
        "rpn_bbox": _box_loss(deltas, true_deltas, labels, kind, count, conventions, distributed),
    }


def box_head_losses(
    logits: Tensor,
    labels: Tensor,
    deltas: Tensor,
    true_deltas: Tensor,
    kind: str,
    conventions: Conventions,
    distributed: DistributedContext = SINGLE_PROCESS,
) -> dict[str, Tensor]:
    """Losses of the box head.

    Args:
        logits: `[S, K + 1]` of the sampled proposals.
        labels: `[S]` int64, 0 for background, -1 for a box that does not count.
        deltas: `[P, 4]`, box deltas of the proposals with an object, for its class; of others too if their true deltas
            are the same.
        true_deltas: `[P, 4]`, the deltas of their true boxes.
        kind: `smooth_l1` or `l2`.
        conventions: what the sums are divided by.
        distributed: the processes whose counts are added up.

    Returns:
        `class` and `bbox`.
    """
    count = distributed.mean_divisor((labels >= 0).sum())
    return {
        "class": F.cross_entropy(logits.float(), labels, ignore_index=-1, reduction="sum") / count,
        "bbox": _box_loss(deltas, true_deltas, labels, kind, count, conventions, distributed),
    }


def mask_losses(
    maps_by_loss: Mapping[str, Tensor],
    objects: Sequence[tuple[Target, Tensor, Tensor, InputPlacement]],
    conventions: Conventions,
    distributed: DistributedContext = SINGLE_PROCESS,
) -> dict[str, Tensor]:
    """The losses of masks of the same boxes, in one or more sizes.

    Args:
        maps_by_loss: logits `[P, M, M]` of the true classes' maps.
        objects: for each photo its ground truth, boxes `[p, 4]` in network coordinates, the mask of each `[p]`, and
            where the photo lies in the input.
        conventions: see `mask_targets`.
        distributed: the processes whose counts are added up.
    """
    sizes = [maps.shape[-1] for maps in maps_by_loss.values()]
    of_photos = [mask_targets(t.masks, b, m, sizes, p, conventions) for t, b, m, p in objects]
    return {
        name: mask_loss(maps, join(truth), distributed)
        for (name, maps), truth in zip(maps_by_loss.items(), zip(*of_photos, strict=True), strict=True)
    }


def mask_loss(maps: Tensor, truth: Tensor, distributed: DistributedContext = SINGLE_PROCESS) -> Tensor:
    """Mean cross entropy of logits `[P, M, M]` of the true classes' maps against `truth` `[P, M, M]` in 0..1."""
    total = F.binary_cross_entropy_with_logits(maps.float(), truth, reduction="sum")
    return total / distributed.mean_divisor(truth.numel())


def _box_loss(
    deltas: Tensor,
    true_deltas: Tensor,
    labels: Tensor,
    kind: str,
    sampled: float | Tensor,
    conventions: Conventions,
    distributed: DistributedContext,
) -> Tensor:
    """Smooth L1, or half the squared difference (`l2`), summed and divided as the conventions say."""
    if kind == "l2":
        total = 0.5 * F.mse_loss(deltas.float(), true_deltas, reduction="sum")
    else:
        total = F.smooth_l1_loss(deltas.float(), true_deltas, beta=conventions.smooth_l1_beta, reduction="sum")
    count = sampled
    if conventions.box_average == "positive":
        count = distributed.mean_divisor((labels > 0).sum() * 4)
    answer: Tensor = torch.div(total, count)
    return answer
