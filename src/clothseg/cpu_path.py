"""Which of two ways a computation takes: many small steps, which suit a CPU, or few large ones, which suit a GPU.

On a CPU it pays to look at values and to compute only what they ask for. On a GPU each look waits until all work so
far is done, and each step has a fixed cost. There a computation has fixed shapes and few steps, even if it computes
more. Both ways give the same results, up to rounding.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def uses_cpu_path(tensor: "Tensor") -> bool:
    """Whether work on `tensor` takes the way that suits a CPU.

    Callers look it up in this module (`cpu_path.uses_cpu_path`), so that a test can replace it and run the other way
    on a CPU.
    """
    return tensor.device.type == "cpu"


def in_fast_order(maps: "Tensor") -> "Tensor":
    """Maps `[B, C, H, W]` in the memory order in which a CPU convolves and pools fastest: channels-last, as a copy.

    Maps that have this order already, and maps on other devices, are returned themselves. Values of what is computed
    from them differ in the last digits.
    """
    import torch  # noqa: PLC0415 - commands that need no network import this module too

    return maps.contiguous(memory_format=torch.channels_last) if uses_cpu_path(maps) else maps
