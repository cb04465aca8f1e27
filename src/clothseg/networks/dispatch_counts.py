"""Counts the operations that PyTorch dispatches, and the values that the processor reads back from them.

On a GPU each operation is about one kernel launch, and each read waits until the GPU has done all work so far. Both can
be counted on any machine, also with tensors of the CPU.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

READING_OPERATIONS = (
    "aten._local_scalar_dense",  # item(), float(), bool(), if
    "aten.nonzero",
    "aten.masked_select",
    "aten.unique_dim",
    "aten._unique2",
    "aten.unique_consecutive",
    "aten.equal",
    "aten.repeat_interleave",
    "torchvision.nms",
)
"""Operations whose result, or its shape, depends on values: a GPU must be waited for."""

READING_METHODS: dict[Any, str] = {
    Tensor.tolist: "tolist",
    Tensor.numpy: "numpy",
    Tensor.cpu: "cpu",
    Tensor.__array__: "numpy",
}
"""Methods that copy values to the processor; on tensors of the CPU they are no operation."""


class DispatchCounts:
    """Counts what happens inside a `with` block, in this thread.

    An index of bool counts as a read, since its length depends on values. Views of memory (`view`, `select`, ...) are
    no work for a GPU and are not counted.

    Attributes:
        operations: how often each operation was dispatched.
        reads: how often values were read, by the operation or method.
    """

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.reads: Counter[str] = Counter()
        self._modes = (_Operations(self), _Methods(self))

    def __enter__(self) -> Self:
        for mode in self._modes:
            mode.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(kind, error, trace)  # type: ignore[no-untyped-call]

    def __repr__(self) -> str:
        return f"DispatchCounts({self.operations.total()} operations, {self.reads.total()} reads)"


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, counts: DispatchCounts) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts = counts

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = str(func.overloadpacket)
        if not func.is_view:
            self.counts.operations[name] += 1
        indexed_by_bool = name.startswith(("aten.index", "aten._index")) and any(
            isinstance(index, Tensor) and index.dtype == torch.bool
            for group in args
            if isinstance(group, (list, tuple))
            for index in group
        )
        if name in READING_OPERATIONS or indexed_by_bool:
            self.counts.reads[name] += 1
        return func(*args, **(kwargs or {}))


class _Methods(TorchFunctionMode):
    def __init__(self, counts: DispatchCounts) -> None:
        super().__init__()
        self.counts = counts

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in READING_METHODS:
            self.counts.reads[READING_METHODS[func]] += 1
        return func(*args, **(kwargs or {}))
