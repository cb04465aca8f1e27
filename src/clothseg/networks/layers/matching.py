"""Which truth an anchor or proposal stands for, and which of them a step learns from."""

import torch
from torch import Tensor
from torchvision.ops import box_area, box_iou, roi_align
from torchvision.ops.boxes import _box_inter_union

from clothseg.networks.input import Window, into_window
from clothseg.networks.layers.roi_align import sample_boxes
from clothseg.networks.mask_rcnn.conventions import Conventions

NEGATIVE, IGNORED = -1, -2


def match_boxes(
    boxes: Tensor, truth: Tensor, ignored: Tensor, *, foreground: float, background: float, keep_best: bool
) -> Tensor:
    """For each of `boxes` `[N, 4]` the index of its box in `truth` `[M, 4]`, or NEGATIVE, or IGNORED.

    A box is matched from IoU `foreground` on, negative below `background`, ignored between; with `keep_best` the boxes
    that overlap a truth most (ties included) are matched however little that is. A negative that lies for half of its
    area or more in one of the `ignored` boxes `[K, 4]` is ignored too.

    Returns:
        `[N]` int64.
    """
    if len(truth) == 0:
        matches = torch.full((len(boxes),), NEGATIVE, dtype=torch.int64, device=boxes.device)
    else:
        iou = box_iou(truth, boxes)
        best, matches = iou.max(dim=0)
        nearest = matches.clone()
        matches[best < background] = NEGATIVE
        matches[(best >= background) & (best < foreground)] = IGNORED
        if keep_best:
            champions = torch.where(iou == iou.max(dim=1, keepdim=True).values)[1]
            matches[champions] = nearest[champions]
    if len(ignored):
        inside, _ = _box_inter_union(boxes, ignored)
        covered = (inside / box_area(boxes)[:, None].clamp(min=1e-6)).max(dim=1).values >= 0.5
        matches[covered & (matches == NEGATIVE)] = IGNORED
    return matches


def sample(matches: Tensor, count: int, positive_share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Choose at most `count` boxes at random, at most `positive_share` of them matched, the rest negative.

    Args:
        matches: `[N]` as from `match_boxes`.
        count: how many in all.
        positive_share: most of them that may be matched.
        generator: on the CPU; two draws are taken from it.

    Returns:
        positions of the matched and of the negative ones, int64, ascending.
    """
    positive = torch.where(matches >= 0)[0]
    negative = torch.where(matches == NEGATIVE)[0]
    positives = min(len(positive), int(count * positive_share))
    negatives = min(len(negative), count - positives)
    chosen_positive = torch.randperm(len(positive), generator=generator)[:positives].to(positive.device)
    chosen_negative = torch.randperm(len(negative), generator=generator)[:negatives].to(negative.device)
    return positive[chosen_positive].sort().values, negative[chosen_negative].sort().values


def mask_targets(
    masks: Tensor, boxes: Tensor, matches: Tensor, size: int, window: Window, conventions: Conventions
) -> Tensor:
    """What the mask head should give for boxes that stand for an object.

    Args:
        masks: `[N, h, w]` uint8, the truth on the resized photo.
        boxes: `[P, 4]` in the network's own coordinates.
        matches: `[P]`, which of the masks belongs to each.
        size: side of the answer.
        window: the photo's place in the input.
        conventions: how it is sampled, and whether the answer is cut to 0 and 1.

    Returns:
        `[P, size, size]` float in 0..1.
    """
    if not len(boxes):
        return boxes.new_zeros((0, size, size))
    placed = into_window(boxes, window, conventions)
    if conventions.pooling == "sample":
        last = placed.new_tensor([window.width - 1, window.height - 1] * 2).clamp(min=1)
        cut = sample_boxes(masks[:, None].to(placed), matches, (placed - placed.new_tensor([0, 0, 1, 1])) / last, size)
    else:
        regions = torch.cat([matches[:, None].to(placed), placed], dim=1)
        cut = roi_align(masks[:, None].to(placed), regions, size, spatial_scale=1.0, aligned=conventions.roi_aligned)
    return (cut[:, 0] >= 0.5).to(placed.dtype) if conventions.binary_mask_targets else cut[:, 0]
