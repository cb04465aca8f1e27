"""The exponential moving average (EMA) of the weights, which is often better than the last weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class EmaWeights:
    """The EMA of a network's weights.

    Args:
        network: whose weights are averaged.
        decay: fraction of the average that a step keeps; smaller in the first steps, so that the start fades.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {n: p.detach().clone() for n, p in network.named_parameters()}
        # To walk through the network in every step would take as long as a tenth of a step of a GPU.
        self._owners = {
            f"{path}.{name}".removeprefix("."): (owner, name)
            for path, owner in network.named_modules()
            for name, _ in owner.named_parameters(recurse=False)
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Updates the average with the network's weights after `step` steps; it moves to their device."""
        decay = min(self.decay, (1 + step) / (10 + step))
        now = {name: cast(Tensor, getattr(*self._owners[name])).detach() for name in self.weights}
        # All weights are updated at once, by functions that accept tensors of several devices and then do nothing.
        self.weights = {name: average.to(now[name].device) for name, average in self.weights.items()}
        get_ema_multi_avg_fn(decay)([*self.weights.values()], [*now.values()], step)  # type: ignore[no-untyped-call]

    def checkpoint(self, network: nn.Module) -> dict[str, Tensor]:
        """The averages for a checkpoint beside the network's own weights; equal ones are the same tensors.

        `torch.save` writes a tensor once, however often it occurs, and frozen weights are equal to their average.
        """
        own = {name: p.detach() for name, p in network.named_parameters()}
        here = {name: average.to(own[name].device) for name, average in self.weights.items()}
        return {name: own[name] if torch.equal(own[name], average) else average for name, average in here.items()}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Continues with the averages of a checkpoint, which may lie on another device."""
        self.weights = {name: weights[name].to(now.device) for name, now in self.weights.items()}

    @contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        """Gives the network the averaged weights inside the context, and its own back afterwards."""
        own = dict(network.named_parameters())
        current = {name: p.detach().clone() for name, p in own.items()}
        _copy(self.weights, own)
        try:
            yield
        finally:
            _copy(current, own)


@torch.no_grad()
def _copy(source: dict[str, Tensor], target: dict[str, nn.Parameter]) -> None:
    for name, tensor in source.items():
        target[name].copy_(tensor)
