"""Where a network runs, and how exactly it computes there. Every command and `Model` decide here.

Names can be checked without PyTorch, which is imported only when a device is looked up.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from clothseg.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
"""Precision of a training, in the words of Lightning Fabric."""
AUTO = "auto"
WITHOUT_FLOAT64 = {"mps"}
"""Types of devices that have no double precision."""
TF32_CAPABILITY = (8, 0)
"""Compute capability from which a GPU has TF32 and bf16: Ampere."""
CAPTURE_LOCK = threading.RLock()
"""Held while a CUDA graph is captured, and while a thread beside the network takes pinned memory: it may not then."""


def check_device_name(name: str) -> str:
    """Returns `name` if it can be the name of a device, on this machine or another one.

    Raises:
        ConfigError: it cannot.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise ConfigError(f"device {name!r}: write auto, cpu, cuda, mps, or the number of a GPU, such as cuda:1")
    return name


def resolve_device(device: "str | torch.device" = AUTO) -> "torch.device":
    """The device of a name, if this machine has it; `auto` is the GPU (CUDA, then MPS) if there is one, or the CPU.

    Args:
        device: `auto`, `cpu`, `cuda` (any GPU), `cuda:1` (that one), `mps`; or a `torch.device`, which may also be of
            another type.

    Raises:
        ConfigError: this machine does not have it, or it is not a device.
    """
    import torch  # noqa: PLC0415 - slow; names are checked without it

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == AUTO:
        return torch.device("cuda" if gpus else "mps" if torch.backends.mps.is_available() else "cpu")
    found = torch.device(check_device_name(device)) if isinstance(device, str) else device
    if found.type == "cuda" and not gpus:
        why = "this PyTorch was built without CUDA" if torch.version.cuda is None else "PyTorch finds no GPU here"
        raise ConfigError(f"device {found}: {why}; use auto or cpu")
    if found.type == "cuda" and (found.index or 0) >= gpus:
        have = f"the GPUs cuda:0 to cuda:{gpus - 1}" if gpus > 1 else "one GPU, cuda:0"
        raise ConfigError(f"device {found}: this machine has {have}")
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device mps: it needs a Mac with Apple silicon; use auto or cpu")
    return found


def resolve_precision(setting: str, device: "torch.device") -> Precision:
    """The precision of a training: `auto` is bf16 mixed on a GPU that has it and TF32, and 32 bits elsewhere.

    Args:
        setting: `train.precision`.
        device: of the training.

    Raises:
        ConfigError: the device cannot compute so.
    """
    if setting == AUTO:
        return "bf16-mixed" if has_tf32(device) else "32-true"
    if device.type == "mps" and setting != "32-true":
        raise ConfigError(f"train.precision={setting} does not work on mps; use auto, which takes 32 bits there")
    if device.type == "cpu" and setting == "16-mixed":
        raise ConfigError("train.precision=16-mixed needs a GPU; use auto, which takes 32 bits on a CPU")
    found: Precision = "bf16-mixed" if setting == "bf16-mixed" else "16-mixed" if setting == "16-mixed" else "32-true"
    return found


def describe_precision(precision: Precision, device: "torch.device") -> str:
    """For people: the numbers that a training computes with."""
    if precision == "32-true":
        return "32 bits"
    products = ", other products TF32" if has_tf32(device) else ""
    return f"{precision.removesuffix('-mixed')} mixed; weights, losses and boxes 32 bits{products}"


def has_tf32(device: "torch.device") -> bool:
    """Whether a device multiplies 32-bit numbers faster as TF32, with 10 instead of 23 bits after the point."""
    import torch  # noqa: PLC0415 - see `resolve_device`

    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= TF32_CAPABILITY


@contextmanager
def float32_products(device: "torch.device", *, tf32: bool) -> Iterator[None]:
    """Within the context, a GPU multiplies 32-bit numbers as TF32 or in full; afterwards as before.

    This is the only place that changes these switches of PyTorch, and only for a GPU. They hold for the whole process,
    convolutions and matrix products alike. The old switches and the new ones (`fp32_precision`) must agree, or PyTorch
    raises an error when it reads an old one; so the old ones are set, which set the new ones too.
    """
    import torch  # noqa: PLC0415 - see `resolve_device`

    if device.type != "cuda":
        yield
        return
    products, convolutions = torch.backends.cuda.matmul, getattr(torch.backends.cudnn, "conv")  # noqa: B009 - no stub
    before = products.fp32_precision, convolutions.fp32_precision
    try:
        _allow_tf32(products=tf32, convolutions=tf32)
        yield
    finally:
        _allow_tf32(products=before[0] == "tf32", convolutions=before[1] == "tf32")
        products.fp32_precision, convolutions.fp32_precision = before


def _allow_tf32(*, products: bool, convolutions: bool) -> None:
    import torch  # noqa: PLC0415 - see `resolve_device`

    torch.set_float32_matmul_precision("high" if products else "highest")
    torch.backends.cudnn.allow_tf32 = convolutions


def to_float64(tensor: "Tensor") -> "Tensor":
    """The tensor in double precision, on the CPU if its own device has none."""
    return (tensor.cpu() if tensor.device.type in WITHOUT_FLOAT64 else tensor).double()
