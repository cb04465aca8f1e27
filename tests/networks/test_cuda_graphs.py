"""When a forward pass is captured as a CUDA graph, with a stand-in for PyTorch's capture, which needs a GPU.

tests/devices/test_gpu.py compares what real captures give.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from clothseg.networks.cuda_graphs import CAPTURED_CALL, MAX_SHAPES, GraphedForward

Captured = list[tuple[int, ...]]


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Captured]:
    """The shapes that were captured; what the stand-in returns is 100 more than what the function does."""
    shapes: Captured = []

    def record(module: nn.Module, sample: tuple[Tensor], **_: Any) -> Callable[[Tensor], list[Tensor]]:
        assert not torch.is_autocast_cache_enabled(), "weights that were converted before would not be converted again"
        shapes.append(tuple(sample[0].shape))
        return lambda pixels: [output + 100 for output in module(pixels)]

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    yield shapes


def one_layer() -> tuple[nn.Linear, GraphedForward]:
    layer = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    return layer, GraphedForward(lambda pixels: [layer(pixels)], layer)


def value(graphed: GraphedForward, size: int = 1) -> float:
    return graphed(torch.ones(size, 2))[0][0].item()


def test_a_shape_is_captured_when_it_has_come_often_enough(captured: Captured) -> None:
    _, graphed = one_layer()
    assert [value(graphed) for _ in range(CAPTURED_CALL + 2)] == [2.0] * (CAPTURED_CALL - 1) + [102.0] * 3
    assert value(graphed, size=3) == 2.0
    assert captured == [(1, 2)]


def test_only_the_first_shapes_are_captured(captured: Captured) -> None:
    _, graphed = one_layer()
    last = [[value(graphed, size) for _ in range(CAPTURED_CALL)][-1] for size in range(1, MAX_SHAPES + 3)]
    assert last == [102.0] * MAX_SHAPES + [2.0] * 2
    assert len(captured) == MAX_SHAPES


def test_what_is_frozen_belongs_to_a_capture(captured: Captured) -> None:
    """With other stages frozen, other gradients are computed."""
    layer, graphed = one_layer()
    for trained in (True, False):
        layer.requires_grad_(trained)
        assert [value(graphed) for _ in range(CAPTURED_CALL)][-1] == 102.0
    assert len(captured) == 2


def test_frozen_weights_that_change_in_place_are_not_captured_again(captured: Captured) -> None:
    """As when a validation puts the EMA into the network, and the weights back."""
    layer, graphed = one_layer()
    layer.requires_grad_(False)
    for _ in range(CAPTURED_CALL):
        value(graphed)
    layer.weight.fill_(5.0)
    assert value(graphed) == 110.0
    assert len(captured) == 1


def test_gradients_are_not_added_to_those_that_a_graph_would_overwrite(captured: Captured) -> None:
    layer, graphed = one_layer()
    for _ in range(CAPTURED_CALL):
        value(graphed)
    layer.weight.grad = torch.zeros_like(layer.weight)
    assert value(graphed) == 2.0, "the second batch of an accumulated gradient"
    layer.weight.grad = None
    assert value(graphed) == 102.0


def test_weights_that_moved_are_captured_again(captured: Captured) -> None:
    layer, graphed = one_layer()
    for _ in range(CAPTURED_CALL):
        value(graphed)
    layer.weight.data = torch.full((1, 2), 5.0)
    assert [value(graphed) for _ in range(CAPTURED_CALL)] == [10.0] * (CAPTURED_CALL - 1) + [110.0]
    with torch.no_grad():
        layer.weight.add_(1.0)  # as an optimizer does: the graph reads the same place
    assert value(graphed) == 112.0
    assert len(captured) == 2


def test_changed_constants_are_captured_again(captured: Captured) -> None:
    """Of the statistics of frozen norms constants are made once; loaded weights change them in place."""
    layer, graphed = one_layer()
    layer.register_buffer("running_mean", torch.zeros(1))
    for _ in range(CAPTURED_CALL):
        value(graphed)
    layer.get_buffer("running_mean").fill_(3.0)
    for _ in range(CAPTURED_CALL):
        value(graphed)
    assert len(captured) == 2


def test_a_failed_capture_leaves_the_function_and_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore lines")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", fail)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    _, graphed = one_layer()
    assert [value(graphed) for _ in range(CAPTURED_CALL + 1)] == [2.0] * (CAPTURED_CALL + 1)
    assert graphed.reason_unavailable == "CUDA error: operation not permitted when stream is capturing"


def test_out_of_memory_is_passed_on_and_released(monkeypatch: pytest.MonkeyPatch, captured: Captured) -> None:
    _, graphed = one_layer()
    for _ in range(CAPTURED_CALL):
        value(graphed)

    def fail(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", fail)
    with pytest.raises(torch.OutOfMemoryError):
        [value(graphed, size=4) for _ in range(CAPTURED_CALL)]
    graphed.stop()
    assert (value(graphed), graphed.captures, graphed.reason_unavailable) == (2.0, 0, "")


def test_what_is_forgotten_is_captured_again(captured: Captured) -> None:
    _, graphed = one_layer()
    for _ in range(CAPTURED_CALL):
        value(graphed)
    graphed.forget()
    assert graphed.captures == 0
    assert [value(graphed) for _ in range(CAPTURED_CALL)] == [2.0] * (CAPTURED_CALL - 1) + [102.0]
    assert len(captured) == 2


def test_norms_that_learn_statistics_are_not_captured(captured: Captured) -> None:
    network = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    graphed = GraphedForward(lambda pixels: [network(pixels)], network)
    for _ in range(CAPTURED_CALL + 1):
        graphed(torch.rand(3, 2))
    assert not captured
    assert "batch norm" in graphed.reason_unavailable
