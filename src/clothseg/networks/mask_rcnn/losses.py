"""The five losses of Mask R-CNN."""

import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.distributed import SINGLE_PROCESS, DistributedContext
from clothseg.networks.mask_rcnn.conventions import Conventions


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
        labels: `[S]` float, 1 for an object, 0 for background.
        deltas: `[P, 4]`, box deltas of those with label 1.
        true_deltas: `[P, 4]`, the deltas of their true boxes.
        budget: largest number of anchors that could have been sampled.
        kind: `smooth_l1` or `l2`.
        conventions: what the sums are divided by.
        distributed: the processes whose counts are added up.

    Returns:
        `rpn_class` and `rpn_bbox`.
    """
    count = budget if conventions.rpn_average == "budget" else distributed.mean_divisor(len(logits))
    class_loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
    return {
        "rpn_class": class_loss / count,
        "rpn_bbox": _box_loss(deltas, true_deltas, kind, count, conventions, distributed),
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
        labels: `[S]` int64, 0 for background.
        deltas: `[P, 4]`, box deltas of the proposals with an object, for its class.
        true_deltas: `[P, 4]`, the deltas of their true boxes.
        kind: `smooth_l1` or `l2`.
        conventions: what the sums are divided by.
        distributed: the processes whose counts are added up.

    Returns:
        `class` and `bbox`.
    """
    count = distributed.mean_divisor(len(labels))
    return {
        "class": F.cross_entropy(logits, labels, reduction="sum") / count,
        "bbox": _box_loss(deltas, true_deltas, kind, count, conventions, distributed),
    }


def mask_loss(maps: Tensor, truth: Tensor, distributed: DistributedContext = SINGLE_PROCESS) -> Tensor:
    """Mean cross entropy of logits `[P, M, M]` of the true classes' maps against `truth` `[P, M, M]` in 0..1."""
    return F.binary_cross_entropy_with_logits(maps, truth, reduction="sum") / distributed.mean_divisor(truth.numel())


def _box_loss(
    deltas: Tensor,
    true_deltas: Tensor,
    kind: str,
    sampled: float,
    conventions: Conventions,
    distributed: DistributedContext,
) -> Tensor:
    """Smooth L1, or half the squared difference (`l2`), summed and divided as the conventions say."""
    if kind == "l2":
        total = 0.5 * F.mse_loss(deltas, true_deltas, reduction="sum")
    else:
        total = F.smooth_l1_loss(deltas, true_deltas, beta=conventions.smooth_l1_beta, reduction="sum")
    count = distributed.mean_divisor(deltas.numel()) if conventions.box_average == "positive" else sampled
    answer: Tensor = torch.div(total, count)
    return answer
