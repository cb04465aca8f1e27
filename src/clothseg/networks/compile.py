"""Inference compiled: convolutions fused with their norms, fewer trips to memory."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class CompiledForward:
    """A function of the network's input `[B, 3, H, W]`, compiled for inference.

    The weights are constants of the compiled code, so it is compiled again when they have changed. It is compiled for
    the size of the first input, and once more for all sizes when another size comes.

    Attributes:
        reason_unavailable: why this machine cannot compile, for example because it has no C++ compiler; empty if it
            can. If it cannot, the function runs uncompiled.

    Args:
        function: what to compile.
        module: whose weights it reads.
    """

    def __init__(self, function: Callable[[Tensor], list[Tensor]], module: nn.Module) -> None:
        self.function, self.module, self.compiled = function, module, function
        self.versions: list[tuple[torch.device, int]] = []
        self.first = torch.Size()
        self.reason_unavailable = _reason_unavailable(next(module.parameters()).device)

    def __call__(self, pixels: Tensor) -> list[Tensor]:
        """What the function returns, up to the last digits."""
        if self.reason_unavailable:
            return self.function(pixels)
        weights = (*self.module.parameters(), *self.module.buffers())
        versions = [(weight.device, weight._version) for weight in weights]
        if versions != self.versions:
            self.compiled = torch.compile(self.function, options={"freezing": True})
            self.versions, self.first = versions, pixels.shape
        if pixels.shape != self.first:
            for axis in (2, 3):
                torch._dynamo.maybe_mark_dynamic(pixels, axis)
        return self.compiled(pixels)


def _reason_unavailable(device: torch.device) -> str:
    try:
        torch.compile(_add_one)(torch.zeros(8, device=device))
    except Exception as error:  # a compiler on a user's machine can raise anything
        return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return ""


def _add_one(x: Tensor) -> Tensor:
    return x + 1
