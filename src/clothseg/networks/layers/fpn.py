"""The feature pyramid network (FPN). Source: Lin et al., Feature Pyramid Networks (2017)."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clothseg.config import FpnSettings
from clothseg.networks.layers.norms import make_norm


@dataclass(frozen=True)
class FpnConventions:
    """How an implementation computes a pyramid.

    Attributes:
        upsampling: of a coarse level that is added to the next finer one.
        activated: a ReLU follows the last convolution of each level of the backbone.
        extra: levels beyond the backbone's are the coarsest one `subsampled`, or `convolved` with stride 2.
    """

    upsampling: Literal["nearest", "bilinear"] = "nearest"
    activated: bool = False
    extra: Literal["subsampled", "convolved"] = "subsampled"


class FeaturePyramid(nn.Module):
    """Projects the backbone's outputs to one width, and adds each coarse level to the next finer one.

    Args:
        in_channels: channels of the backbone's outputs, finest first.
        settings: channels, levels and norm; levels beyond the backbone's come from the coarsest one.
        norm_eps: epsilon of the norms.
        conventions: the arithmetic to follow.
    """

    def __init__(
        self,
        in_channels: list[int],
        settings: FpnSettings,
        norm_eps: float = 1e-5,
        conventions: FpnConventions | None = None,
    ) -> None:
        super().__init__()
        self.conventions = conventions or FpnConventions()
        extra, norm = len(settings.levels) - len(in_channels), make_norm(settings.norm, norm_eps)

        def convolution(channels: int, size: int, stride: int = 1) -> nn.Module:
            layer = nn.Conv2d(channels, settings.channels, size, stride, padding=size // 2, bias=norm is None)
            nn.init.kaiming_uniform_(layer.weight, a=1)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            return nn.Sequential(layer, norm(settings.channels)) if norm else nn.Sequential(layer)

        self.lateral = nn.ModuleList(convolution(channels, 1) for channels in in_channels)
        self.smooth = nn.ModuleList(convolution(settings.channels, 3) for _ in in_channels)
        self.subsampled = extra if self.conventions.extra == "subsampled" else 0
        if self.conventions.extra == "convolved":
            self.extra = nn.ModuleList(convolution(settings.channels, 3, stride=2) for _ in range(extra))

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Levels `[B, channels, h, w]`, finest first."""
        merged = [lateral(x) for lateral, x in zip(self.lateral, features, strict=True)]
        for i in range(len(merged) - 2, -1, -1):
            merged[i].add_(F.interpolate(merged[i + 1], size=merged[i].shape[-2:], mode=self.conventions.upsampling))
        levels = [smooth(x) for smooth, x in zip(self.smooth, merged, strict=True)]
        if self.conventions.activated:
            levels = [torch.relu_(level) for level in levels]
        for _ in range(self.subsampled):
            levels.append(F.max_pool2d(levels[-1], kernel_size=1, stride=2))
        for convolution in self.extra if self.conventions.extra == "convolved" else ():
            levels.append(convolution(levels[-1]))
        return levels
