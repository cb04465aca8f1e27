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
        norm_momentum: of norms with the statistics of batches.
        dilate_first: the first block of a dilated stage has its dilation too, not that of the stage before.
        multi_grid: factors of the dilation in the blocks of a dilated last stage, in turn.
    """

    stride_first: bool = False
    norm_eps: float = 1e-5
    pool_symmetric: bool = True
    norm_momentum: float = 0.1
    dilate_first: bool = False
    multi_grid: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class StageSteps:
    """Stride of a stage's first block, and the dilation of each block."""

    stride: int
    dilations: tuple[int, ...]


def stage_steps(depths: tuple[int, ...], output_stride: int, conventions: ResNetConventions) -> list[StageSteps]:
    """Strides and dilations of the four stages after the stem, so that the last one has `output_stride`.

    A stage that may not stride multiplies its dilation by 2 instead. Source: Chen et al., Rethinking Atrous Convolution
    for Semantic Image Segmentation (2017), sections 3.1 and 3.2.
    """
    steps, reached, dilation = [], 4, 1
    for number, depth in enumerate(depths):
        before, stride = dilation, 1 if number == 0 else 2
        if stride == 2 and reached * 2 > output_stride:
            stride, dilation = 1, dilation * 2
        reached *= stride
        each = [dilation] * depth
        if number == len(depths) - 1 and dilation > 1:
            each = [dilation * conventions.multi_grid[i % len(conventions.multi_grid)] for i in range(depth)]
        if not conventions.dilate_first:
            each[0] = before
        steps.append(StageSteps(stride, tuple(each)))
    return steps


def _convolution(
    in_channels: int, out_channels: int, size: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    padding = dilation * (size // 2)
    return nn.Conv2d(in_channels, out_channels, size, stride, padding, dilation, groups, bias=False)


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
        dilation: int = 1,
    ) -> None:
        super().__init__(in_channels, planes, stride, norm, dropout)
        self.conv1, self.norm1 = _convolution(in_channels, planes, 3, stride, 1, dilation), norm(planes)
        self.conv2, self.norm2 = _convolution(planes, planes, 3, 1, 1, dilation), norm(planes)

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
        dilation: int = 1,
    ) -> None:
        super().__init__(in_channels, planes * self.expansion, stride, norm, dropout)
        middle = planes * width // 64 * groups
        first, second = (stride, 1) if stride_first else (1, stride)
        self.conv1, self.norm1 = _convolution(in_channels, middle, 1, first), norm(middle)
        self.conv2, self.norm2 = _convolution(middle, middle, 3, second, groups, dilation), norm(middle)
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
        conventions: what differs between implementations.
        output_stride: of the last stage; what is less than 32 comes from dilated convolutions.
        deep_stem: three 3 x 3 convolutions as stem, the last of them 128 wide, not one of 7 x 7.
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
        conventions: ResNetConventions = ResNetConventions(),
        output_stride: int = 32,
        deep_stem: bool = False,
    ) -> None:
        super().__init__()
        self.conv1, self.norm1, channels = (_deep_stem if deep_stem else _plain_stem)(norm)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = StemPool(conventions.pool_symmetric)
        self.channels = [channels]
        for number, steps in enumerate(stage_steps(depths, output_stride, conventions), start=1):
            planes = 32 << number
            blocks = []
            for position, dilation in enumerate(steps.dilations):
                stride = 1 if position else steps.stride
                blocks.append(
                    block(channels, planes, stride, norm, groups, width, dropout=dropout,
                          stride_first=conventions.stride_first, dilation=dilation)
                )  # fmt: skip
                channels = planes * block.expansion
            self.channels.append(channels)
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _plain_stem(norm: Norm) -> tuple[nn.Module, nn.Module, int]:
    """The stem's convolution, its norm, and its channels."""
    return _convolution(3, 64, 7, 2), norm(64), 64


def _deep_stem(norm: Norm) -> tuple[nn.Module, nn.Module, int]:
    """The same with three convolutions; the last norm is apart."""
    first = (_convolution(3, 64, 3, 2), norm(64), nn.ReLU(inplace=True))
    second = (_convolution(64, 64, 3), norm(64), nn.ReLU(inplace=True))
    return nn.Sequential(*first, *second, _convolution(64, 128, 3)), norm(128), 128


RESNETS: dict[str, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int], int, int]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2), 1, 64),
    "resnet34": (BasicBlock, (3, 4, 6, 3), 1, 64),
    "resnet50": (Bottleneck, (3, 4, 6, 3), 1, 64),
    "resnet101": (Bottleneck, (3, 4, 23, 3), 1, 64),
    "resnext101_32x8d": (Bottleneck, (3, 4, 23, 3), 32, 8),
    "resnet52": (Bottleneck, (3, 4, 6, 3), 1, 64),
    "resnet103": (Bottleneck, (3, 4, 23, 3), 1, 64),
}
"""Block, blocks of the last four stages, groups and width by name."""

DEEP_STEMS = frozenset({"resnet52", "resnet103"})
"""Those whose stem has three convolutions."""
