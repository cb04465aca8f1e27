"""Tensors are kept by key, but not those that would not work elsewhere."""

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from clothseg.networks.transfer import TensorCache


def test_tensors_are_made_once_and_the_oldest_is_dropped() -> None:
    cache, made = TensorCache(2), []

    def get(key: int) -> Tensor:
        def make() -> tuple[Tensor, ...]:
            made.append(key)
            return (torch.tensor([key]),)

        return cache.get(key, make)[0]

    assert [get(key).item() for key in (1, 2, 1, 3, 1, 2)] == [1, 2, 1, 3, 1, 2]
    assert made == [1, 2, 3, 2]  # 2 was used longest ago when 3 came


def test_tensors_without_values_or_of_inference_mode_are_not_kept() -> None:
    cache = TensorCache(2)

    def make() -> tuple[Tensor, ...]:
        return (torch.ones(3),)

    with FakeTensorMode():
        cache.get("a", make)
    with torch.inference_mode():
        cache.get("a", make)
    kept = cache.get("a", make)[0]
    assert type(kept) is Tensor
    assert not kept.is_inference()
    assert cache.get("a", make)[0] is kept
