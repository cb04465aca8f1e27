"""Copies from the processor's memory to a device: without waiting, and once for tensors that are needed again."""

from collections.abc import Callable, Hashable, Sequence

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


class TensorCache:
    """Tensors that depend on a few numbers only: the last ones by key, computed and copied once.

    The one that was used longest ago is dropped first.

    Args:
        size: number of keys.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._tensors: dict[Hashable, tuple[Tensor, ...]] = {}

    def get(self, key: Hashable, make: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """The tensors of `key`, from `make` if they are not kept.

        Tensors that would not work elsewhere are not kept: those of a compiler, without values (`FakeTensorMode`) or
        of inference mode.
        """
        if torch.compiler.is_compiling():
            return make()
        tensors = self._tensors.pop(key, None) or make()
        if all(type(tensor) is Tensor and not tensor.is_inference() for tensor in tensors):
            self._tensors[key] = tensors
            if len(self._tensors) > self.size:
                del self._tensors[next(iter(self._tensors))]
        return tensors
