"""When a forward pass is recorded as a CUDA graph, with a stand-in for PyTorch's recording, which needs a GPU.

tests/devices/test_gpu.py compares what real recordings give.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from clothseg.networks.cuda_graphs import AFTER, MOST, GraphedForward

Recorded = list[tuple[int, ...]]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """The shapes that were recorded; what the stand-in returns is 100 more than what the function does."""
    shapes: Recorded = []

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


def value(graphed: GraphedForward, size: int = 1, key: object = None) -> float:
    return graphed(torch.ones(size, 2), key)[0][0].item()


def test_a_shape_is_recorded_when_it_has_come_often_enough(recorded: Recorded) -> None:
    _, graphed = one_layer()
    assert [value(graphed) for _ in range(AFTER + 2)] == [2.0] * (AFTER - 1) + [102.0] * 3
    assert value(graphed, size=3) == 2.0
    assert recorded == [(1, 2)]


def test_only_the_first_shapes_are_recorded(recorded: Recorded) -> None:
    _, graphed = one_layer()
    last = [[value(graphed, size) for _ in range(AFTER)][-1] for size in range(1, MOST + 3)]
    assert last == [102.0] * MOST + [2.0] * 2
    assert len(recorded) == MOST


def test_another_key_is_another_recording(recorded: Recorded) -> None:
    """The key is the number of frozen stages: with another one, other gradients are computed."""
    _, graphed = one_layer()
    for key in (0, 2):
        assert [value(graphed, key=key) for _ in range(AFTER)][-1] == 102.0
    assert len(recorded) == 2


def test_gradients_are_not_added_to_those_that_a_graph_would_overwrite(recorded: Recorded) -> None:
    layer, graphed = one_layer()
    for _ in range(AFTER):
        value(graphed)
    layer.weight.grad = torch.zeros_like(layer.weight)
    assert value(graphed) == 2.0, "the second batch of an accumulated gradient"
    layer.weight.grad = None
    assert value(graphed) == 102.0


def test_weights_that_moved_are_recorded_again(recorded: Recorded) -> None:
    layer, graphed = one_layer()
    for _ in range(AFTER):
        value(graphed)
    layer.weight.data = torch.full((1, 2), 5.0)
    assert [value(graphed) for _ in range(AFTER)] == [10.0] * (AFTER - 1) + [110.0]
    with torch.no_grad():
        layer.weight.add_(1.0)  # as an optimizer does: the graph reads the same place
    assert value(graphed) == 112.0
    assert len(recorded) == 2


def test_changed_constants_are_recorded_again(recorded: Recorded) -> None:
    """Of the statistics of frozen norms constants are made once; loaded weights change them in place."""
    layer, graphed = one_layer()
    layer.register_buffer("running_mean", torch.zeros(1))
    for _ in range(AFTER):
        value(graphed)
    layer.get_buffer("running_mean").fill_(3.0)
    for _ in range(AFTER):
        value(graphed)
    assert len(recorded) == 2


def test_a_failed_recording_leaves_the_function_and_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore lines")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", fail)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    _, graphed = one_layer()
    assert [value(graphed) for _ in range(AFTER + 1)] == [2.0] * (AFTER + 1)
    assert graphed.reason_unavailable == "CUDA error: operation not permitted when stream is capturing"


def test_out_of_memory_is_passed_on_and_released(monkeypatch: pytest.MonkeyPatch, recorded: Recorded) -> None:
    _, graphed = one_layer()
    for _ in range(AFTER):
        value(graphed)

    def fail(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", fail)
    with pytest.raises(torch.OutOfMemoryError):
        [value(graphed, size=4) for _ in range(AFTER)]
    graphed.stop()
    assert (value(graphed), graphed.recordings, graphed.reason_unavailable) == (2.0, 0, "")


def test_what_is_forgotten_is_recorded_again(recorded: Recorded) -> None:
    _, graphed = one_layer()
    for _ in range(AFTER):
        value(graphed)
    graphed.forget()
    assert graphed.recordings == 0
    assert [value(graphed) for _ in range(AFTER)] == [2.0] * (AFTER - 1) + [102.0]
    assert len(recorded) == 2


def test_norms_that_learn_statistics_are_not_recorded(recorded: Recorded) -> None:
    network = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    graphed = GraphedForward(lambda pixels: [network(pixels)], network)
    for _ in range(AFTER + 1):
        graphed(torch.rand(3, 2))
    assert not recorded
    assert "batch norm" in graphed.reason_unavailable
