"""Assigns anchors and proposals to ground truth, and samples those that a step learns from."""

import torch
from torch import Tensor
from torchvision.ops import box_area, box_iou
from torchvision.ops.boxes import _box_inter_union

NEGATIVE, IGNORED = -1, -2


def match_boxes(
    boxes: Tensor, truth: Tensor, ignored: Tensor, *, foreground: float, background: float, keep_best: bool
) -> Tensor:
    """Assigns boxes to ground truth by IoU.

    Args:
        boxes: `[N, 4]`, anchors or proposals.
        truth: `[M, 4]`, ground-truth boxes.
        ignored: `[K, 4]`, boxes of crowds. A negative with half of its area or more in one of them is ignored.
        foreground: IoU from which a box is matched.
        background: IoU below which a box is negative; between the two it is ignored.
        keep_best: whether the boxes with the highest IoU with a ground truth (ties included) are matched in any case.

    Returns:
        `[N]` int64: the index of the ground truth, or NEGATIVE, or IGNORED.
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


def sample(matches: Tensor, count: int, positive_fraction: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Samples at most `count` boxes, at most `positive_fraction` of them matched, the rest negative.

    Args:
        matches: `[N]`, as `match_boxes` gives them.
        count: number of boxes.
        positive_fraction: largest fraction of them that is matched.
        generator: on the CPU; two draws are taken from it.

    Returns:
        positions of the matched and of the negative boxes, int64, ascending.
    """
    positive = torch.where(matches >= 0)[0]
    negative = torch.where(matches == NEGATIVE)[0]
    positives = min(len(positive), int(count * positive_fraction))
    negatives = min(len(negative), count - positives)
    chosen_positive = torch.randperm(len(positive), generator=generator)[:positives].to(positive.device)
    chosen_negative = torch.randperm(len(negative), generator=generator)[:negatives].to(negative.device)
    return positive[chosen_positive].sort().values, negative[chosen_negative].sort().values
