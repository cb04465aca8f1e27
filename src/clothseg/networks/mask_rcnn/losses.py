"""The five losses, from what the network said and what it should have said."""

import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.networks.mask_rcnn.conventions import Conventions
from clothseg.networks.share import ALONE, Share


def rpn_losses(
    logits: Tensor,
    labels: Tensor,
    codes: Tensor,
    wanted: Tensor,
    budget: int,
    kind: str,
    conventions: Conventions,
    share: Share = ALONE,
) -> dict[str, Tensor]:
    """Losses of the region proposals.

    Args:
        logits: `[S]` of the anchors that are learned from.
        labels: `[S]` float, 1 for an object, 0 for background.
        codes: `[P, 4]` of those with label 1.
        wanted: `[P, 4]`, the codes of their true boxes.
        budget: anchors that could have been sampled.
        kind: `smooth_l1` or `l2`.
        conventions: what the sums are divided by.
        share: this process's part of what they are divided by.

    Returns:
        `rpn_class` and `rpn_bbox`.
    """
    count = budget if conventions.rpn_average == "budget" else share.divisor(len(logits))
    unsure = F.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
    return {"rpn_class": unsure / count, "rpn_bbox": _box_loss(codes, wanted, kind, count, conventions, share)}


def head_losses(
    logits: Tensor,
    labels: Tensor,
    codes: Tensor,
    wanted: Tensor,
    kind: str,
    conventions: Conventions,
    share: Share = ALONE,
) -> dict[str, Tensor]:
    """Losses of the box head.

    Args:
        logits: `[S, K + 1]` of the proposals that are learned from.
        labels: `[S]` int64, 0 for background.
        codes: `[P, 4]` of the proposals with an object, for its class.
        wanted: `[P, 4]`, the codes of their true boxes.
        kind: `smooth_l1` or `l2`.
        conventions: what the sums are divided by.
        share: this process's part of what they are divided by.

    Returns:
        `class` and `bbox`.
    """
    count = share.divisor(len(labels))
    return {
        "class": F.cross_entropy(logits, labels, reduction="sum") / count,
        "bbox": _box_loss(codes, wanted, kind, count, conventions, share),
    }


def mask_loss(maps: Tensor, truth: Tensor, share: Share = ALONE) -> Tensor:
    """Mean cross entropy of logits `[P, M, M]` of the true classes' maps against `truth` `[P, M, M]` in 0..1."""
    return F.binary_cross_entropy_with_logits(maps, truth, reduction="sum") / share.divisor(truth.numel())


def _box_loss(
    codes: Tensor, wanted: Tensor, kind: str, sampled: float, conventions: Conventions, share: Share
) -> Tensor:
    """Smooth L1, or half the squared difference (`l2`), summed and divided as the conventions say."""
    if kind == "l2":
        total = 0.5 * F.mse_loss(codes, wanted, reduction="sum")
    else:
        total = F.smooth_l1_loss(codes, wanted, beta=conventions.smooth_l1_beta, reduction="sum")
    count = share.divisor(codes.numel()) if conventions.box_average == "positive" else sampled
    answer: Tensor = torch.div(total, count)
    return answer
