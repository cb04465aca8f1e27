"""A device that does not exist: it finds tensors that were left on the CPU, on a machine without a GPU.

A tensor there is a wrapper around one of the CPU, which holds its values, so that everything runs: backward passes,
optimizers, checkpoints. An operation that mixes it with a tensor of the CPU is refused, as a GPU refuses it, and so are
two that a GPU accepts: an index on the CPU, and `_foreach_*`, which copies in silence. A number, which is a tensor
without dimensions, may be on the CPU, as with a GPU. Within `without_float64` it refuses double precision, as Apple's
GPUs do.

PyTorch lets one process add one device, and only once; `install` may be called again. It must be called before the
first backward pass.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators.accelerator import Accelerator
from lightning_fabric.strategies.single_device import SingleDeviceStrategy
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

from clothseg.devices import WITHOUT_FLOAT64

NAME = "pretend"
_ATEN = torch.ops.aten
_COPIES = {_ATEN._to_copy.default, _ATEN.copy_.default}
"""Operations between devices."""
_libraries: list[torch.library.Library] = []
_without_float64: list[bool] = []


class PretendTensor(Tensor):
    """A tensor of the device; `held` has its values, on the CPU."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: Tensor) -> "PretendTensor":
        made: PretendTensor = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            layout=held.layout, device=torch.device(NAME, 0),
        )  # fmt: skip
        made.held = held
        return made

    def __repr__(self, **how: Any) -> str:  # type: ignore[override]
        return f"PretendTensor({self.held})"

    def tolist(self) -> Any:
        return self.held.tolist()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Saved as a tensor of the CPU, which is what `torch.load` with `map_location="cpu"` makes of it."""
        saved: Any = self.held.detach().clone()
        return saved.__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _compute(func, args, kwargs or {})


def _compute(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Computes on the CPU what the device would compute."""
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    if func not in _COPIES:
        for leaf in given:
            if not isinstance(leaf, PretendTensor) and leaf.dim():
                raise RuntimeError(
                    f"{func}: expected all tensors on one device, but found {NAME} and {leaf.device} "
                    f"(shape {tuple(leaf.shape)})"
                )
    device = kwargs.get("device")
    stays = isinstance(args[0], PretendTensor) if func is _ATEN.copy_.default else device in (None, _device())
    own = {id(leaf.held if isinstance(leaf, PretendTensor) else leaf): leaf for leaf in given}
    settings = {name: value for name, value in kwargs.items() if name != "pin_memory"}
    if device is not None:
        settings["device"] = torch.device("cpu")
    answer = func(*tree_map(_held, args), **tree_map(_held, settings))

    def placed(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        if stays and leaf.dtype == torch.float64 and _without_float64:
            raise TypeError(f"{func}: the device has no float64")
        return own.get(id(leaf)) if id(leaf) in own else PretendTensor(leaf) if stays else leaf

    return tree_map(placed, answer)


def _device() -> torch.device:
    return torch.device(NAME, 0)


def _held(leaf: Any) -> Any:
    return leaf.held if isinstance(leaf, PretendTensor) else leaf


class _Backend(_DummyBackendModule):
    """What PyTorch asks a device for; `torch.autocast` asks for the precisions."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


class PretendAccelerator(Accelerator):
    """The device, for Lightning Fabric."""

    def setup_device(self, device: torch.device) -> None:
        pass

    def teardown(self) -> None:
        pass

    @staticmethod
    def parse_devices(devices: Any) -> Any:
        return devices

    @staticmethod
    def get_parallel_devices(devices: Any) -> list[torch.device]:
        return [_device()]

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def name() -> str:
        return NAME


def install() -> torch.device:
    """Adds the device to PyTorch, and returns it."""
    if not _libraries:
        _setup_privateuseone_for_python_backend(NAME, _Backend())
        library: Any = torch.library.Library  # without types
        every, some = library("_", "IMPL"), library("aten", "IMPL")
        every.fallback(lambda func, *args, **kwargs: _compute(func, args, kwargs), "PrivateUse1")
        for operation in (_ATEN.copy_.default, _ATEN.empty.memory_format, _ATEN.empty_strided.default):
            some.impl(operation, _kernel(operation), "PrivateUse1")
        _libraries.extend((every, some))
    return _device()


def pretend_fabric() -> Fabric:
    """Fabric for a training on the device."""
    return Fabric(accelerator=PretendAccelerator(), strategy=SingleDeviceStrategy(_device()), devices=1)


def _kernel(operation: Any) -> Callable[..., Any]:
    """`torch.tensor(..., device=)` does not reach the fallback, but these."""
    return lambda *args, **kwargs: _compute(operation, args, kwargs)


@contextmanager
def without_float64() -> Iterator[None]:
    """Within the context the device has no double precision."""
    _without_float64.append(True)
    WITHOUT_FLOAT64.add(NAME)
    try:
        yield
    finally:
        WITHOUT_FLOAT64.remove(NAME)
        _without_float64.pop()
