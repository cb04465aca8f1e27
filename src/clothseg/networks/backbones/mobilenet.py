"""MobileNetV2 as DeepLabV3Plus-Pytorch (VainF) computes it.

Source: Sandler et al., MobileNetV2 (2018). The first convolution has no padding, and an inverted residual pads its
input, before the expansion. So the depthwise convolution sees at the border what the expansion makes of zeros.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from clothseg.config import BackboneSettings
from clothseg.errors import ConfigError
from clothseg.networks.backbones.backbone import Backbone
from clothseg.networks.layers.norms import Norm

MOBILENET = "mobilenetv2"
"""Its name in `backbone.name`."""

INVERTED = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, repeats and stride of the first, for each group of inverted residuals (table 2)."""

STAGE_ENDS = (2, 4, 7, 14, 18)
"""The block after the last one of each stage."""


class InvertedResidual(nn.Module):
    """1 x 1 expansion, 3 x 3 depthwise and 1 x 1 linear convolution, added to the input where the shapes allow it."""

    def __init__(
        self, in_channels: int, out_channels: int, expansion: int, stride: int, dilation: int, norm: Norm
    ) -> None:
        super().__init__()
        hidden, self.dilation = in_channels * expansion, dilation
        self.adds = stride == 1 and in_channels == out_channels
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [nn.Conv2d(in_channels, hidden, 1, bias=False), norm(hidden), nn.ReLU6(inplace=True)]
        depthwise = nn.Conv2d(hidden, hidden, 3, stride, 0, dilation, hidden, bias=False)
        layers += [depthwise, norm(hidden), nn.ReLU6(inplace=True)]
        layers += [nn.Conv2d(hidden, out_channels, 1, bias=False), norm(out_channels)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C', h', w']` from `[B, C, h, w]`."""
        out: Tensor = self.layers(F.pad(x, [self.dilation] * 4))
        return x + out if self.adds else out


def build_mobilenet(settings: BackboneSettings, levels: tuple[int, ...], norm: Norm, output_stride: int) -> Backbone:
    """MobileNetV2 without its last layers; see `build_backbone`."""
    if settings.dropout:
        raise ConfigError(f"backbone.dropout: only the ResNets of clothseg have dropout, not {MOBILENET}")
    stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, bias=False), norm(32), nn.ReLU6(inplace=True))
    blocks: list[nn.Module] = [stem]
    channels, reached, dilation = 32, 2, 1
    for expansion, width, repeats, first_stride in INVERTED:
        before, stride = dilation, first_stride
        if stride == 2 and reached * 2 > output_stride:
            stride, dilation = 1, dilation * 2
        reached *= stride
        for position in range(repeats):
            step, rate = (1, dilation) if position else (stride, before)
            blocks.append(InvertedResidual(channels, width, expansion, step, rate, norm))
            channels = width
    model = nn.Module()
    starts = (0, *STAGE_ENDS[:-1])
    for stage, (start, end) in enumerate(zip(starts, STAGE_ENDS, strict=True), start=1):
        model.add_module(f"stage{stage}", nn.Sequential(*blocks[start:end]))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
    plan = [[f"stage{stage}"] for stage in range(1, 6)]
    return Backbone(
        model, plan, [16, 24, 32, 96, 320], [2, 4, 8, 16, 32], levels, settings.frozen_stages,
        output_stride=output_stride,
    )  # fmt: skip
