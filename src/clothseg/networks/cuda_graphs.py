"""The part of a network whose shapes are fixed, captured on an NVIDIA GPU as CUDA graphs and replayed.

Backbone and neck are several hundred small kernels, and as many again for their gradients. The processor needs longer
to launch them one by one than the GPU to run them. A captured graph is one launch, with the same kernels and numbers.

A graph holds addresses: of its input, into which each new input is copied, and of the weights. So it belongs to one
shape and precision, and to weights that stay where they are; `GraphedForward` captures another one if they change.
"""

import gc
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import cast

import torch
from torch import Tensor, nn
from torch.cuda import _POOL_HANDLE
from torch.nn.modules.batchnorm import _BatchNorm

from clothseg.devices import CAPTURE_LOCK
from clothseg.errors import is_out_of_memory

Forward = Callable[[Tensor], Sequence[Tensor]]

CAPTURED_CALL = 3
"""The call with one shape that is captured; those before run as they are, and find out what does not fit in memory."""
MAX_SHAPES = 4
"""Shapes that are captured; calls with others run as they are."""


class GraphedForward:
    """A function of the network's input `[B, 3, H, W]` that is captured when it was called often enough.

    With gradients the outputs are overwritten by the next call, as suits a step, and gradients are computed by a graph
    too. Without, they are copies.

    Attributes:
        reason_unavailable: why nothing can be captured, so that the function always runs as it is; empty if it can.

    Args:
        function: what to capture; it may read no value back from the GPU.
        module: whose weights it reads.
    """

    def __init__(self, function: Forward, module: nn.Module) -> None:
        self.function, self.module = function, module
        self.reason_unavailable = ""
        self._stopped = False
        self._calls: Counter[Hashable] = Counter()
        self._captured: dict[Hashable, Forward] = {}
        self._weights: list[Tensor] = []
        self._places: list[tuple[int, bool, int]] = []
        self._pool: _POOL_HANDLE | None = None  # one for all: no capture is replayed while another one is in use

    def __call__(self, pixels: Tensor) -> list[Tensor]:
        """What the function returns for `pixels` on a CUDA device."""
        if not self._weights or self._places != _places(self._weights):
            self._start_anew()
        if self._stopped or (torch.is_grad_enabled() and self._adds_up_gradients()):
            return [*self.function(pixels)]
        precision = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else None
        key = pixels.shape, pixels.stride(), pixels.dtype, precision
        if key not in self._captured:
            self._calls[key] += 1
            if self._calls[key] < CAPTURED_CALL or len(self._captured) >= MAX_SHAPES or not self._capture(pixels, key):
                return [*self.function(pixels)]
        return [*self._captured[key](pixels)]

    @property
    def captures(self) -> int:
        """How many there are."""
        return len(self._captured)

    def forget(self) -> None:
        """Drops all captures and their memory; calls count from 1 again."""
        self._calls.clear()
        self._captured.clear()
        self._pool, self._weights = None, []

    def stop(self) -> None:
        """Drops all captures and their memory, and captures nothing any more."""
        self.forget()
        self._stopped = True

    def _start_anew(self) -> None:
        """Forgets what was captured with other weights, with the same ones elsewhere, or with others of them frozen."""
        self.forget()
        self._weights = [*self.module.parameters(), *self.module.buffers()]
        self._places = _places(self._weights)
        if any(isinstance(part, _BatchNorm) and part.training for part in self.module.modules()):
            self._stopped, self.reason_unavailable = True, "batch norm changes its statistics in every step"

    def _adds_up_gradients(self) -> bool:
        """Whether a backward pass has left gradients, to which the next one adds. A graph would overwrite them."""
        return any(weight.grad is not None for weight in self._weights if weight.requires_grad)

    def _capture(self, pixels: Tensor, key: Hashable) -> bool:
        enabled, precision = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
        capture = _capture_with_gradients if torch.is_grad_enabled() else _capture_forward
        try:
            # A weight that autocast converted before the recording would not be converted again.
            with _capturing(), torch.autocast("cuda", precision, enabled, cache_enabled=False):
                self._pool = self._pool or torch.cuda.graph_pool_handle()
                self._captured[key] = capture(self.function, self.module, pixels, self._pool)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            self.stop()
            self.reason_unavailable = next(iter(str(error).splitlines()), type(error).__name__)
            return False
        return True


@contextmanager
def _capturing() -> Iterator[None]:
    """Keeps away what ends a capture: pinned memory that other threads take, and garbage that frees what a GPU uses.

    After a capture that failed, PyTorch's generator refuses to draw, so it gets back the state from before.
    """
    generators = torch.cuda.default_generators if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    states = [generator.clone_state() for generator in generators]
    collects = gc.isenabled()
    with CAPTURE_LOCK:
        gc.collect()
        gc.disable()
        try:
            yield
        except BaseException:
            for generator, state in zip(generators, states, strict=True):
                generator.graphsafe_set_state(state)
            raise
        finally:
            if collects:
                gc.enable()


class _Capturable(nn.Module):
    """The function as a module with all weights, which is what PyTorch captures together with the gradients."""

    def __init__(self, function: Forward, module: nn.Module) -> None:
        super().__init__()
        self.function, self.module = function, module

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """What the function returns."""
        return tuple(self.function(pixels))


def _capture_with_gradients(function: Forward, module: nn.Module, pixels: Tensor, pool: _POOL_HANDLE) -> Forward:
    module, sample = _Capturable(function, module), (pixels.detach().clone(),)
    return cast(Forward, torch.cuda.make_graphed_callables(module, sample, allow_unused_input=True, pool=pool))


def _capture_forward(function: Forward, module: nn.Module, pixels: Tensor, pool: _POOL_HANDLE) -> Forward:
    captured_input, stream = pixels.clone(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # what is set up at the first call must not be captured
        function(captured_input)
    torch.cuda.current_stream().wait_stream(stream)
    graph, lock = torch.cuda.CUDAGraph(), Lock()
    with torch.cuda.graph(graph, pool, capture_error_mode="thread_local"):
        outputs = function(captured_input)

    def replay(pixels: Tensor) -> list[Tensor]:
        with lock:
            captured_input.copy_(pixels)
            graph.replay()
            return [output.clone() for output in outputs]

    return replay


def _places(weights: Sequence[Tensor]) -> list[tuple[int, bool, int]]:
    """Where tensors are, which of them are trained, and how often buffers changed: constants are made of them."""
    return [(w.data_ptr(), w.requires_grad, 0 if isinstance(w, nn.Parameter) else w._version) for w in weights]
