"""Keeps tensors that depend on a few numbers only, so that they are computed and copied to a GPU once."""

from collections.abc import Callable, Hashable

import torch
from torch import Tensor


class TensorCache:
    """The last tensors by key; the one that was used longest ago is dropped first.

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
