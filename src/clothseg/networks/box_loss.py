"""The loss between box codes; `losses.box_loss` chooses it."""

import torch.nn.functional as F
from torch import Tensor


def box_loss(found: Tensor, wanted: Tensor, kind: str, beta: float) -> Tensor:
    """Sum over `[N, 4]` codes of smooth L1, or of half the squared difference (`l2`)."""
    if kind == "l2":
        return 0.5 * F.mse_loss(found, wanted, reduction="sum")
    return F.smooth_l1_loss(found, wanted, beta=beta, reduction="sum")
