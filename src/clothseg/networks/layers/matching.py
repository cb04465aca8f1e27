"""Assigns anchors and proposals to ground truth, and samples those that a step learns from."""

import torch
from torch import Tensor
from torchvision.ops import box_area, box_iou
from torchvision.ops.boxes import _box_inter_union

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
