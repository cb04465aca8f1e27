"""ResNets. Source: He et al., Deep Residual Learning (2015); Xie et al., ResNeXt (2017)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clothseg.networks.layers.norms import Norm


@dataclass(frozen=True)
class ResNetConventions:
    """What differs between implementations of a ResNet.

    Attributes:
        stride_first: a bottleneck strides in its first 1 x 1 convolution, not in its 3 x 3 one.
        norm_eps: epsilon of every norm.
        pool_symmetric: the stem's max pooling pads on all sides, not at the bottom and right only.
    """

    stride_first: bool = False
    norm_eps: float = 1e-5
    pool_symmetric: bool = True


def _convolution(in_channels: int, out_channels: int, size: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, size, stride, padding=size // 2, groups=groups, bias=False)


class _Block(nn.Module):
    """A residual block: the output of a few convolutions, added to the input or its 1 x 1 projection."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.shortcut = (
            nn.Sequential(_convolution(in_channels, out_channels, 1, stride), norm(out_channels))
            if stride != 1 or in_channels != out_channels
            else nn.Identity()
        )

    def branch(self, x: Tensor) -> Tensor:
        """The convolutions, whose output is added to the shortcut."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C', H', W']` from `[B, C, H, W]`."""
        return torch.relu_(self.dropout(self.branch(x)).add_(self.shortcut(x)))


class BasicBlock(_Block):
    """Two 3 x 3 convolutions."""

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        planes: int,
        stride: int,
        norm: Norm,
        groups: int = 1,
        width: int = 64,
        *,
        dropout: float = 0.0,
        stride_first: bool = False,
    ) -> None:
        super().__init__(in_channels, planes, stride, norm, dropout)
        self.conv1, self.norm1 = _convolution(in_channels, planes, 3, stride), norm(planes)
        self.conv2, self.norm2 = _convolution(planes, planes, 3), norm(planes)

    def branch(self, x: Tensor) -> Tensor:
        """See `_Block.branch`."""
        x = torch.relu_(self.norm1(self.conv1(x)))
        out: Tensor = self.norm2(self.conv2(x))
        return out


class Bottleneck(_Block):
    """1 x 1, 3 x 3 (of `groups` groups, each `width` / 64 of the planes wide) and 1 x 1 convolutions.

    The original strides in the first one (`stride_first`), most later implementations in the second.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        planes: int,
        stride: int,
        norm: Norm,
        groups: int = 1,
        width: int = 64,
        *,
        dropout: float = 0.0,
        stride_first: bool = False,
    ) -> None:
        super().__init__(in_channels, planes * self.expansion, stride, norm, dropout)
        middle = planes * width // 64 * groups
        first, second = (stride, 1) if stride_first else (1, stride)
        self.conv1, self.norm1 = _convolution(in_channels, middle, 1, first), norm(middle)
        self.conv2, self.norm2 = _convolution(middle, middle, 3, second, groups), norm(middle)
        self.conv3, self.norm3 = _convolution(middle, planes * self.expansion, 1), norm(planes * self.expansion)

    def branch(self, x: Tensor) -> Tensor:
        """See `_Block.branch`."""
        x = torch.relu_(self.norm1(self.conv1(x)))
        x = torch.relu_(self.norm2(self.conv2(x)))
        out: Tensor = self.norm3(self.conv3(x))
        return out


class StemPool(nn.Module):
    """3 x 3 max pooling with stride 2, padded on all sides or at the bottom and right only."""

    def __init__(self, symmetric: bool) -> None:
        super().__init__()
        self.symmetric = symmetric

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, ceil(H / 2), ceil(W / 2)]` from the output of a ReLU, so that zeros as padding never win."""
        if self.symmetric:
            return F.max_pool2d(x, 3, 2, padding=1)
        bottom, right = (1 if side % 2 == 0 else 2 for side in x.shape[-2:])
        before = (right - 1, 1, bottom - 1, 1)
        return F.max_pool2d(F.pad(x, before), 3, 2)


class ResNet(nn.Module):
    """The five stages of a ResNet; the classifier is not part of it.

    Args:
        block: kind of residual block.
        depths: blocks of the last four stages.
        norm: makes a norm for a number of channels.
        groups, width: of the bottleneck's middle convolution (ResNeXt).
        dropout: rate on the branch of each block.
        stride_first: where a bottleneck strides.
        pool_symmetric: how the stem's pooling pads.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: tuple[int, int, int, int],
        norm: Norm,
        groups: int = 1,
        width: int = 64,
        *,
        dropout: float = 0.0,
        stride_first: bool = False,
        pool_symmetric: bool = True,
    ) -> None:
        super().__init__()
        self.conv1, self.norm1, self.relu = _convolution(3, 64, 7, 2), norm(64), nn.ReLU(inplace=True)
        self.maxpool = StemPool(pool_symmetric)
        channels = 64
        self.channels = [64]
        for number, depth in enumerate(depths, start=1):
            planes = 32 << number
            blocks = []
            for position in range(depth):
                stride = 2 if position == 0 and number > 1 else 1
                blocks.append(
                    block(channels, planes, stride, norm, groups, width, dropout=dropout, stride_first=stride_first)
                )
                channels = planes * block.expansion
            self.channels.append(channels)
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


RESNETS: dict[str, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int], int, int]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2), 1, 64),
    "resnet34": (BasicBlock, (3, 4, 6, 3), 1, 64),
    "resnet50": (Bottleneck, (3, 4, 6, 3), 1, 64),
    "resnet101": (Bottleneck, (3, 4, 23, 3), 1, 64),
    "resnext101_32x8d": (Bottleneck, (3, 4, 23, 3), 32, 8),
}
"""Block, blocks of the last four stages, groups and width by name."""
