"""Counts the operations that PyTorch dispatches, and the values that the processor reads back from them.

On a GPU each operation is about one kernel launch, and each read waits until the GPU has done all work so far. Both can
be counted on any machine, also with tensors of the CPU.

An operation on a list of tensors (`_foreach_*`, `_fused_*`) counts as one: a GPU works through the list in a few
launches, whose number depends on sizes alone. Some other operations take several launches (a sort, a convolution's
backward pass), and a copy from the processor takes one that is not counted. So the launches of a step are more than
its operations, in about the same proportion before and after a change. Operations on tensors that a GPU's step has on
the processor, such as random draws, are counted as well.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

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

NO_WORK = ("aten._unsafe_view", "aten.empty", "aten.new_empty", "profiler.")
"""Beginnings of the names of operations that only make a view, reserve memory or record a profile."""

READING_METHODS: dict[Any, str] = {
    Tensor.tolist: "tolist",
    Tensor.numpy: "numpy",
    Tensor.cpu: "cpu",
    Tensor.__array__: "numpy",
    Tensor.new_tensor: "new_tensor",
}
"""Methods that copy values to the processor, and `new_tensor`, which copies them from there, but waits as well; on
tensors of the CPU they are no operation."""


class DispatchCounts:
    """Counts what happens inside a `with` block, in this thread.

    An index of bool counts as a read, since its length depends on values. Views of memory (`view`, `select`, ...) are
    no work for a GPU and are not counted; neither is what is done with a copy that `cpu()` made.

    Attributes:
        operations: how often each operation was dispatched.
        reads: how often values were read, by the operation or method.
    """

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.reads: Counter[str] = Counter()
        self.copies = WeakTensorKeyDictionary()  # tensors that would be on the processor, as keys
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

    def is_copy(self, args: Sequence[Any]) -> bool:
        """Whether the first tensor among the arguments of an operation comes from a copy on the processor."""
        flat = (item for arg in args for item in (arg if isinstance(arg, (list, tuple)) else (arg,)))
        first = next((item for item in flat if isinstance(item, Tensor)), None)
        return first is not None and first in self.copies

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
        if self.counts.is_copy(args):
            result = func(*args, **(kwargs or {}))
            for tensor in result if isinstance(result, (list, tuple)) else (result,):
                if isinstance(tensor, Tensor):
                    self.counts.copies[tensor] = True
            return result
        name = str(func.overloadpacket)
        if not (func.is_view or name.startswith(NO_WORK)):
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
        copied = self.counts.is_copy(args)
        if copied and func is Tensor.to and isinstance(args[1], torch.device):
            with torch._C.DisableTorchFunction():
                back = args[0].detach()
            del self.counts.copies[back]
            return back
        if func in READING_METHODS and not copied:
            self.counts.reads[READING_METHODS[func]] += 1
            if func is Tensor.cpu and args[0].device.type == "cpu":
                with torch._C.DisableTorchFunction():
                    copy = args[0].detach().view_as(args[0])  # another tensor, which `cpu()` is not on a CPU
                self.counts.copies[copy] = True
                return copy
        return func(*args, **(kwargs or {}))
