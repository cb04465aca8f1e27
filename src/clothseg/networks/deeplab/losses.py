"""The losses of DeepLab.

Sources: Chen et al., DeepLabv3 (2017); for hard pixels and centers Cheng et al., Panoptic-DeepLab (2020), section 3.3.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.distributed import SINGLE_PROCESS, DistributedContext
from clothseg.networks.deeplab.targets import IGNORED


def pixel_loss(
    logits: Tensor,
    truth: Tensor,
    weights: Tensor | None = None,
    hard_pixels: float | None = None,
    distributed: DistributedContext = SINGLE_PROCESS,
) -> Tensor:
    """Cross entropy of pixels. It is 0 where no pixel has a class.

    Args:
        logits: `[B, K + 1, H, W]`.
        truth: `[B, H, W]` int64, the class of each pixel, or IGNORED, whose loss is 0.
        weights: `[B, H, W]`, a factor of each pixel's loss.
        hard_pixels: fraction of all pixels, ignored ones too, whose loss is the highest: the mean over these. None: the
            mean over the pixels that have a class.
        distributed: the processes whose counts are added up.
    """
    losses = F.cross_entropy(_full(logits), truth, ignore_index=IGNORED, reduction="none")
    if weights is not None:
        losses = losses * weights
    if hard_pixels is None:
        return torch.div(losses.sum(), distributed.mean_divisor((truth != IGNORED).sum()))
    if hard_pixels == 1:
        return losses.mean()
    hardest = losses.flatten().topk(max(1, int(hard_pixels * losses.numel())), sorted=False).values
    return hardest.mean()


def center_loss(
    heat: Tensor, truth: Tensor, weights: Tensor, distributed: DistributedContext = SINGLE_PROCESS
) -> Tensor:
    """Mean squared error of heat maps `[B, H, W]`, weighted."""
    squares = weights * (_full(heat) - truth).square()
    return torch.div(squares.sum(), distributed.mean_divisor(weights.sum()))


def offset_loss(
    offsets: Tensor, truth: Tensor, weights: Tensor, distributed: DistributedContext = SINGLE_PROCESS
) -> Tensor:
    """Mean over pixels of the absolute errors of offsets `[B, 2, H, W]`, both axes added up; weights `[B, H, W]`."""
    differences = weights[:, None] * (_full(offsets) - truth).abs()
    return torch.div(differences.sum(), distributed.mean_divisor(weights.sum()))


def _full(values: Tensor) -> Tensor:
    """Values of mixed precision as float32."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
