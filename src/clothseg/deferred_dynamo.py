"""Imports libraries without TorchDynamo, the compiler of torch, which takes as long as torch itself.

torchvision and timm import `torch._dynamo`, and with it 900 modules (SymPy, Triton, ...), for two functions that they
call only if a network is compiled. Here the import waits until one of these functions is called. Everything else that
wants TorchDynamo gets it at once.
"""

import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any

_PACKAGE, _UTILS = "torch._dynamo", "torch._dynamo.utils"


def import_without_dynamo(name: str) -> Any:
    """Imports a module that imports TorchDynamo for one of the functions below; returns the module."""
    stand_ins = []
    if not {name, _PACKAGE, _UTILS} & sys.modules.keys():
        stand_ins = [_StandIn(_PACKAGE, disable=_disable), _StandIn(_UTILS, is_compile_supported=_is_compile_supported)]
    for stand_in in stand_ins:
        sys.modules[stand_in.__name__] = stand_in
    try:
        return import_module(name)
    finally:
        for stand_in in stand_ins:
            stand_in.remove()


class _StandIn(ModuleType):
    """Stands for a module in `sys.modules`, and has some of its functions; any other attribute loads the module."""

    def __init__(self, name: str, **functions: Callable[..., Any]) -> None:
        super().__init__(name)
        self.__dict__.update(functions)

    def __getattr__(self, name: str) -> Any:
        is_package_path = name == "__path__" and self.__name__ == _PACKAGE  # wanted to import one of its modules
        if name.startswith("__") and not is_package_path:
            raise AttributeError(name)
        self.remove()
        return getattr(import_module(self.__name__), name)

    def remove(self) -> None:
        """Makes the next import load the module itself."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]


def _is_compile_supported(device_type: str) -> bool:
    """Whether the compiler supports a device; torchvision asks for it where its own operators are missing."""
    return bool(import_module(_UTILS).is_compile_supported(device_type))


def _disable(function: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[..., Any]:
    """The decorator `torch._dynamo.disable`, which takes effect when the decorated function is called."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return import_module(_PACKAGE).disable(function, *arguments, **options)(*args, **kwargs)

    return call
