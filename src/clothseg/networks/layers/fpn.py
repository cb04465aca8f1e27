"""The feature pyramid network (FPN). Source: Lin et al., Feature Pyramid Networks (2017)."""

import torch.nn.functional as F
from torch import Tensor, nn

from clothseg.config import FpnSettings
from clothseg.networks.layers.norms import make_norm


class FeaturePyramid(nn.Module):
    """Projects the backbone's outputs to one width, and adds each coarse level to the next finer one.

    Args:
        in_channels: channels of the backbone's outputs, finest first.
        settings: channels, levels and norm; levels beyond the backbone's are the coarsest one subsampled.
        norm_eps: epsilon of the norms.
    """

    def __init__(self, in_channels: list[int], settings: FpnSettings, norm_eps: float = 1e-5) -> None:
        super().__init__()
        self.extra = len(settings.levels) - len(in_channels)
        norm = make_norm(settings.norm, norm_eps)

        def convolution(channels: int, size: int) -> nn.Module:
            layer = nn.Conv2d(channels, settings.channels, size, padding=size // 2, bias=norm is None)
            nn.init.kaiming_uniform_(layer.weight, a=1)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            return nn.Sequential(layer, norm(settings.channels)) if norm else nn.Sequential(layer)

        self.lateral = nn.ModuleList(convolution(channels, 1) for channels in in_channels)
        self.smooth = nn.ModuleList(convolution(settings.channels, 3) for _ in in_channels)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Levels `[B, channels, h, w]`, finest first."""
        merged = [lateral(x) for lateral, x in zip(self.lateral, features, strict=True)]
        for i in range(len(merged) - 2, -1, -1):
            merged[i].add_(F.interpolate(merged[i + 1], size=merged[i].shape[-2:], mode="nearest"))
        levels = [smooth(x) for smooth, x in zip(self.smooth, merged, strict=True)]
        for _ in range(self.extra):
            levels.append(F.max_pool2d(levels[-1], kernel_size=1, stride=2))
        return levels
