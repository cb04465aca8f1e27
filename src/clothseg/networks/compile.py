"""What every photo goes through, compiled: convolutions with their norms in one, fewer ways to memory and back."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Maps = tuple[list[Tensor], list[Tensor], list[Tensor]]


class CompiledMaps:
    """A function of the network's input `[B, 3, H, W]`, compiled for detection.

    The weights are constants of what was compiled, so it is compiled anew when they have changed. It is compiled for
    the size of the first input, and at the first of another size once more, for all sizes.

    Attributes:
        why_not: why this machine cannot compile, for example for want of a C++ compiler; empty where it can. Where it
            cannot, the function is called as it is.

    Args:
        maps: the function.
        module: whose weights it reads.
    """

    def __init__(self, maps: Callable[[Tensor], Maps], module: nn.Module) -> None:
        self.maps, self.module, self.compiled = maps, module, maps
        self.versions: list[tuple[torch.device, int]] = []
        self.first = torch.Size()
        self.why_not = _why_not(next(module.parameters()).device)

    def __call__(self, pixels: Tensor) -> Maps:
        """What the function gives, up to the last digits."""
        if self.why_not:
            return self.maps(pixels)
        weights = (*self.module.parameters(), *self.module.buffers())
        versions = [(weight.device, weight._version) for weight in weights]
        if versions != self.versions:
            self.compiled = torch.compile(self.maps, options={"freezing": True})
            self.versions, self.first = versions, pixels.shape
        if pixels.shape != self.first:
            for axis in (2, 3):
                torch._dynamo.maybe_mark_dynamic(pixels, axis)
        return self.compiled(pixels)


def _why_not(device: torch.device) -> str:
    try:
        torch.compile(_one_more)(torch.zeros(8, device=device))
    except Exception as error:  # whatever a compiler on somebody's machine can raise
        return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return ""


def _one_more(x: Tensor) -> Tensor:
    return x + 1
