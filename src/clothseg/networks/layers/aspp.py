"""Atrous spatial pyramid pooling (ASPP), and depthwise separable convolutions.

Source: Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation (2017), section 3.3; Encoder-Decoder
with Atrous Separable Convolution (2018), section 3.1.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clothseg.networks.layers.norms import Convolution, Norm


@dataclass(frozen=True)
class ConvolutionKind:
    """How a head makes its convolutions.

    Attributes:
        norm: after each; None for none.
        separable: those of more than 1 x 1 are a depthwise and a 1 x 1 convolution.
        norm_between: norm and ReLU between these two as well.
    """

    norm: Norm | None
    separable: bool = False
    norm_between: bool = True

    def make(self, in_channels: int, out_channels: int, size: int, dilation: int = 1) -> nn.Module:
        """A convolution with norm and ReLU, `[B, out_channels, h, w]` from `[B, in_channels, h, w]`."""
        if not self.separable or size == 1:
            return Convolution(in_channels, out_channels, size, self.norm, dilation)
        return SeparableConvolution(in_channels, out_channels, size, self, dilation)


class SeparableConvolution(nn.Module):
    """A depthwise convolution, then a 1 x 1 convolution with norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, size: int, kind: ConvolutionKind, dilation: int) -> None:
        super().__init__()
        self.depthwise: nn.Module
        if kind.norm_between:
            self.depthwise = Convolution(in_channels, in_channels, size, kind.norm, dilation, in_channels)
        else:
            padding = dilation * (size // 2)
            self.depthwise = nn.Conv2d(
                in_channels, in_channels, size, 1, padding, dilation, in_channels, bias=False
            )  # fmt: skip
        self.pointwise = Convolution(in_channels, out_channels, 1, kind.norm)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, out_channels, h, w]` from `[B, in_channels, h, w]`."""
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


class Aspp(nn.Module):
    """1 x 1 and dilated 3 x 3 convolutions and a pooled branch, side by side, then fused.

    Args:
        in_channels: of the backbone's last stage.
        channels: of each branch, and of the result.
        dilations: of the 3 x 3 branches.
        kind: of the 3 x 3 branches; its norm is that of all.
        pooled_norm: the norm of the pooled branch; None for a bias instead.
        window: height and width, in cells of the map, of the pooled branch's window; None for the whole map.
        dropout: rate after the fusion.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        dilations: tuple[int, ...],
        kind: ConvolutionKind,
        pooled_norm: Norm | None,
        window: tuple[int, int] | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList([Convolution(in_channels, channels, 1, kind.norm)])
        self.branches.extend(kind.make(in_channels, channels, 3, dilation) for dilation in dilations)
        self.pooled = Convolution(in_channels, channels, 1, pooled_norm)
        self.project = Convolution(channels * (len(dilations) + 2), channels, 1, kind.norm)
        self.window, self.dropout = window, nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, channels, h, w]` from `[B, in_channels, h, w]`."""
        parts = [branch(x) for branch in self.branches]
        pooled = self.pooled(self.pool(x))
        if self.window is None:
            pooled = pooled.expand(-1, -1, *x.shape[-2:])
        else:
            pooled = F.interpolate(pooled, size=x.shape[-2:], mode="bilinear")
        out: Tensor = self.dropout(self.project(torch.cat([*parts, pooled], 1)))
        return out

    def pool(self, x: Tensor) -> Tensor:
        """The mean over the map `[B, C, 1, 1]`, or over each place of the window, which fits into the map."""
        if self.window is None:
            return x.mean((2, 3), keepdim=True)
        window = min(self.window[0], x.shape[-2]), min(self.window[1], x.shape[-1])
        return F.avg_pool2d(x, window, stride=1)
