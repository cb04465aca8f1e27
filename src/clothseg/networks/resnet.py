"""ResNets. Source: He et al., Deep Residual Learning (2015); the bottleneck strides in its 3 x 3 convolution."""

from collections.abc import Callable

from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

Norm = Callable[[int], nn.Module]


def group_norm(channels: int) -> nn.Module:
    """Group normalisation with 32 groups, or as many as divide the channels evenly."""
    return nn.GroupNorm(32 if channels % 32 == 0 else 8, channels)


NORMS: dict[str, Norm] = {"frozen": FrozenBatchNorm2d, "group": group_norm}


def _convolution(inside: int, outside: int, size: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, size, stride, padding=size // 2, groups=groups, bias=False)


class _Block(nn.Module):
    """A residual block: the input, or a 1 x 1 projection of it, added to a few convolutions' answer."""

    def __init__(self, inside: int, outside: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = (
            nn.Sequential(_convolution(inside, outside, 1, stride), norm(outside))
            if stride != 1 or inside != outside
            else nn.Identity()
        )

    def branch(self, x: Tensor) -> Tensor:
        """What is added to the shortcut."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C', H', W']` from `[B, C, H, W]`."""
        out: Tensor = self.relu(self.branch(x) + self.shortcut(x))
        return out


class BasicBlock(_Block):
    """Two 3 x 3 convolutions."""

    expansion = 1

    def __init__(self, inside: int, planes: int, stride: int, norm: Norm, groups: int = 1, width: int = 64) -> None:
        super().__init__(inside, planes, stride, norm)
        self.conv1, self.norm1 = _convolution(inside, planes, 3, stride), norm(planes)
        self.conv2, self.norm2 = _convolution(planes, planes, 3), norm(planes)

    def branch(self, x: Tensor) -> Tensor:
        """See `_Block.branch`."""
        out: Tensor = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        return out


class Bottleneck(_Block):
    """1 x 1, 3 x 3 (of `groups` groups, each `width` / 64 of the planes wide) and 1 x 1 convolutions."""

    expansion = 4

    def __init__(self, inside: int, planes: int, stride: int, norm: Norm, groups: int = 1, width: int = 64) -> None:
        super().__init__(inside, planes * self.expansion, stride, norm)
        middle = planes * width // 64 * groups
        self.conv1, self.norm1 = _convolution(inside, middle, 1), norm(middle)
        self.conv2, self.norm2 = _convolution(middle, middle, 3, stride, groups), norm(middle)
        self.conv3, self.norm3 = _convolution(middle, planes * self.expansion, 1), norm(planes * self.expansion)

    def branch(self, x: Tensor) -> Tensor:
        """See `_Block.branch`."""
        x = self.relu(self.norm1(self.conv1(x)))
        x = self.relu(self.norm2(self.conv2(x)))
        out: Tensor = self.norm3(self.conv3(x))
        return out


class ResNet(nn.Module):
    """The five stages of a ResNet; the classifier is not part of it.

    Args:
        block: kind of residual block.
        depths: blocks of the last four stages.
        norm: what normalises, by number of channels.
        groups, width: of the bottleneck's middle convolution (ResNeXt).
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: tuple[int, int, int, int],
        norm: Norm,
        groups: int = 1,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.conv1, self.norm1, self.relu = _convolution(3, 64, 7, 2), norm(64), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        inside = 64
        self.channels = [64]
        for number, depth in enumerate(depths, start=1):
            planes = 32 << number
            blocks = []
            for position in range(depth):
                stride = 2 if position == 0 and number > 1 else 1
                blocks.append(block(inside, planes, stride, norm, groups, width))
                inside = planes * block.expansion
            self.channels.append(inside)
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
