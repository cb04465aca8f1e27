"""Copies from the processor's memory to a device."""

from collections.abc import Sequence

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The same tensor on `device`. A copy to a CUDA GPU starts from pinned memory, so that nothing waits for it."""
    if device.type == "cuda" and tensor.device.type == "cpu" and torch.cuda.is_available():
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def constants(rows: Sequence[Sequence[float]], like: Tensor) -> tuple[Tensor, ...]:
    """Vectors of numbers with the type and device of `like`, in one copy for which nothing waits.

    `new_tensor` would make a GPU finish all work so far.
    """
    return to_device(torch.tensor(rows, dtype=like.dtype), like.device).unbind(0)
