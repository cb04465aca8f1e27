"""Norms, by the names that the configuration gives them, and a convolution with its norm."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from clothseg import cpu_path
from clothseg.errors import ConfigError

Norm = Callable[[int], nn.Module]


def group_norm(channels: int) -> nn.Module:
    """Group normalisation with 32 groups, or with as many of 8 as divide the channels evenly."""
    return nn.GroupNorm(32 if channels % 32 == 0 else math.gcd(8, channels), channels)


class FrozenNorm(FrozenBatchNorm2d):  # type: ignore[misc]
    """Batch norm whose statistics, scale and shift stay as loaded, for maps `[B, C, H, W]` and vectors `[B, C]`.

    It changes its input in place, because memory traffic is what takes the time: the input is the output of a
    convolution, which nothing else reads. The product is rounded before the sum, as in torchvision's frozen norm, so
    that both give the same bits. On a GPU it is one operation, which rounds once: `batch_norm`, or with gradients
    one in place, because `batch_norm` would keep its input for the backward pass.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__(channels, eps)
        self._cached: tuple[Tensor, Tensor] | None = None
        self._cached_from: list[tuple[Tensor, int]] = []

    def forward(self, x: Tensor) -> Tensor:
        """The same values, normalised; in `x` itself where that is faster."""
        if not torch.is_grad_enabled() and not cpu_path.uses_cpu_path(x):
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        scale, shift = self.scale_and_shift()
        places = (-1,) + (1,) * (x.dim() - 2)
        if not cpu_path.uses_cpu_path(x):
            return _scale_and_shift_in_place(x, scale.view(places), shift.view(places))
        return x.mul_(scale.view(places)).add_(shift.view(places))

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """Both `[C]`, computed again only if a statistic was replaced or changed in place."""
        sources = (self.weight, self.bias, self.running_mean, self.running_var)
        plain = not torch.compiler.is_compiling() and all(type(t) is Tensor and not t.is_inference() for t in sources)
        if plain and self._cached:
            known = zip(sources, self._cached_from, strict=True)
            if all(now is before and now._version == version for now, (before, version) in known):
                return self._cached
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        if plain and type(scale) is Tensor and not scale.is_inference():
            self._cached, self._cached_from = (scale, shift), [(t, t._version) for t in sources]
        return scale, shift


class _InPlace(torch.autograd.Function):
    """`x * scale + shift` in `x` itself, in one operation; scale and shift are constants."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Writes into `x`, which PyTorch has to know."""
        ctx.save_for_backward(scale)
        ctx.mark_dirty(x)
        return torch.addcmul(shift, x, scale, out=x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of `x`, in its own type: a product of bf16 and 32 bits would be 32 bits."""
        (scale,) = ctx.saved_tensors
        return torch.mul(gradients[0], scale, out=torch.empty_like(gradients[0])), None, None


def _scale_and_shift_in_place(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    changed: Tensor = _InPlace.apply(x, scale, shift)
    return changed


class BatchNorm(nn.BatchNorm2d):
    """Batch norm with the statistics of each batch in training. It has the tensors of `FrozenNorm` and no others.

    So one weights file serves both.
    """

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(channels, eps, momentum)
        self.num_batches_tracked = None

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, normalised.

        Raises:
            ConfigError: it trains on a single value per channel, whose variance is 0.
        """
        if self.training and x.numel() == x.shape[1]:
            raise ConfigError(
                "norm: batch needs more than one photo in a batch, because it normalises one value per photo here; "
                "set train.batch_size to 2 or more, or network.norm to group or frozen"
            )
        out: Tensor = super().forward(x)
        return out

    def _load_from_state_dict(self, *args: Any) -> None:
        nn.Module._load_from_state_dict(self, *args)  # the class between adds a counter that is not here


def make_norm(name: str, eps: float, momentum: float = 0.1) -> Norm | None:
    """The norm called `none`, `frozen`, `group` or `batch`; `eps` is added to its variances."""
    if name == "frozen":
        return lambda channels: FrozenNorm(channels, eps=eps)
    if name == "batch":
        return lambda channels: BatchNorm(channels, eps, momentum)
    return group_norm if name == "group" else None


class Convolution(nn.Module):
    """A convolution, its norm if it has one, and ReLU. With a norm it has no bias."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        norm: Norm | None,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        padding = dilation * (size // 2)
        self.conv = nn.Conv2d(in_channels, out_channels, size, 1, padding, dilation, groups, bias=norm is None)
        self.norm = norm(out_channels) if norm else nn.Identity()
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, out_channels, H, W]` from `[B, in_channels, H, W]`."""
        return torch.relu_(self.norm(self.conv(x)))
