"""Operations and reads, counted by hand."""

from collections.abc import Callable

import torch

from clothseg.networks.dispatch_counts import DispatchCounts


def test_operations_are_counted_and_views_are_not() -> None:
    values = torch.ones(4, requires_grad=True)
    with DispatchCounts() as counts:
        torch.autograd.backward((values.view(2, 2) * 2).sum())
    forward_and_backward = {"aten.mul": 2, "aten.sum": 1}
    assert {name: counts.operations[name] for name in forward_and_backward} == forward_and_backward
    assert "aten.view" not in counts.operations
    assert not counts.reads


def test_reserving_memory_is_no_work() -> None:
    weights = torch.ones(3, 2)
    with DispatchCounts() as counts:
        torch.empty(4)
        weights.new_empty(2)
        torch.ones(5, 4, 3) @ weights  # reshaped, multiplied and reshaped back
    assert dict(counts.operations) == {"aten.ones": 1, "aten.mm": 1}


def test_every_kind_of_read_is_counted() -> None:
    values = torch.arange(4.0)
    reads: list[Callable[[], object]] = [
        lambda: values.sum().item(),
        lambda: bool(values[0] > 0),
        values.tolist,
        values.cpu,
        values.numpy,
        lambda: torch.where(values > 1),
        lambda: values[values > 1],
        lambda: values.masked_select(values > 1),
        lambda: torch.unique(values),
        lambda: values.new_tensor([1.0, 2.0]),
    ]
    for number, read in enumerate(reads):
        with DispatchCounts() as counts:
            read()
        assert counts.reads.total() == 1, number


def test_shapes_and_indices_of_whole_numbers_are_no_reads() -> None:
    values = torch.arange(4.0)
    with DispatchCounts() as counts:
        values[torch.tensor([0, 2])] * len(values) + values.shape[0]
    assert not counts.reads


def test_copies_on_the_processor_are_not_counted_until_they_go_back() -> None:
    values = torch.arange(4.0)
    with DispatchCounts() as counts:
        copy = (values * 2).cpu()
        assert (copy + torch.tensor([1.0])).tolist() == [1, 3, 5, 7]
        assert len(copy[copy > 1]) == 3
        back = copy.to(torch.device("cpu"))
        back.exp()
    assert counts.reads == {"cpu": 1}
    assert (counts.operations["aten.mul"], counts.operations["aten.exp"]) == (1, 1)
    assert counts.operations["aten.add"] == 0
