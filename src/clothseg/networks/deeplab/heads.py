"""The heads of DeepLab: ASPP, decoder, and what they predict.

Sources: Chen et al., DeepLabv3 (2017) and DeepLabv3+ (2018); Cheng et al., Panoptic-DeepLab (2020).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clothseg.config import DeepLabSettings
from clothseg.networks.deeplab.conventions import Conventions
from clothseg.networks.layers.aspp import Aspp, ConvolutionKind
from clothseg.networks.layers.norms import Convolution, make_norm


class HeadBuilder:
    """Makes the parts of the heads from settings and conventions.

    Args:
        settings: of the network.
        conventions: the arithmetic to follow.
        channels: of the backbone's maps: the decoder's levels from coarse to fine, then the last stage.
    """

    def __init__(self, settings: DeepLabSettings, conventions: Conventions, channels: Sequence[int]) -> None:
        self.settings, self.conventions, self.channels = settings, conventions, channels
        self.norm = make_norm(settings.norm, conventions.backbone.norm_eps)
        self.plain = ConvolutionKind(self.norm)
        self.kind = ConvolutionKind(self.norm, settings.decoder.separable, conventions.norm_between)

    def aspp(self, channels: int) -> Aspp:
        """ASPP with `channels` channels."""
        settings, stride = self.settings.aspp, self.settings.output_stride
        window = settings.pool_window
        kind = ConvolutionKind(self.norm, settings.separable, self.conventions.norm_between)
        cells = (max(1, window[0] // stride), max(1, window[1] // stride)) if window else None
        pooled_norm = self.norm if self.conventions.pooled_norm else None
        return Aspp(
            self.channels[-1], channels, self.settings.aspp_dilations, kind, pooled_norm, cells, settings.dropout
        )

    def convolutions(self, in_channels: int, widths: Sequence[int]) -> nn.Sequential:
        """Convolutions of the decoder's kind, one for each of `widths`."""
        layers, size = [], self.settings.decoder.kernel_size
        for width in widths:
            layers.append(self.kind.make(in_channels, width, size))
            in_channels = width
        return nn.Sequential(*layers)


class DecoderStep(nn.Module):
    """One step of the decoder: a finer map of the backbone, reduced, beside the coarser map, upsampled; then fused."""

    def __init__(self, builder: HeadBuilder, coarser: int, finer: int, projected: int, channels: int) -> None:
        super().__init__()
        self.project = Convolution(finer, projected, 1, builder.norm)
        self.fuse = builder.convolutions(projected + coarser, [channels] * builder.settings.decoder.num_conv)

    def forward(self, coarser: Tensor, finer: Tensor) -> Tensor:
        """`[B, channels, h, w]` of the size of `finer`."""
        projected = self.project(finer)
        upsampled = F.interpolate(coarser, size=projected.shape[-2:], mode="bilinear")
        out: Tensor = self.fuse(torch.cat([projected, upsampled], 1))
        return out


class Branch(nn.Module):
    """ASPP and decoder.

    Attributes:
        channels: of the result.

    Args:
        builder: of the parts.
        aspp_channels: of ASPP.
        projected: channels to which each of the decoder's levels is reduced.
        channels: of each step of the decoder.
    """

    def __init__(self, builder: HeadBuilder, aspp_channels: int, projected: Sequence[int], channels: int) -> None:
        super().__init__()
        self.aspp = builder.aspp(aspp_channels)
        self.channels, steps = aspp_channels, []
        for finer, reduced in zip(builder.channels[:-1], projected, strict=True):
            steps.append(DecoderStep(builder, self.channels, finer, reduced, channels))
            self.channels = channels
        self.decoder = nn.ModuleList(steps)

    def decode(self, maps: Sequence[Tensor]) -> Tensor:
        """`[B, channels, h, w]` of the finest size.

        Args:
            maps: of the backbone, the decoder's levels from coarse to fine, then the last stage.
        """
        x: Tensor = self.aspp(maps[-1])
        for step, finer in zip(self.decoder, maps[:-1], strict=True):
            x = step(x, finer)
        return x


class SemanticHead(Branch):
    """A class for each cell: logits `[B, K + 1, h, w]`, background first."""

    def __init__(self, builder: HeadBuilder, classes: int) -> None:
        settings = builder.settings
        decoder, head = settings.decoder, settings.head
        super().__init__(builder, settings.aspp.channels, decoder.projected, decoder.channels)
        widths = [self.channels] * (head.num_conv - 1) + [head.channels] * (head.num_conv > 0)
        self.head = builder.convolutions(self.channels, widths)
        self.predictor = predictor(widths[-1] if widths else self.channels, classes + 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Logits `[B, K + 1, h, w]`; `maps` as for `decode`."""
        logits: Tensor = self.predictor(self.head(self.decode(maps)))
        return logits


class InstanceHead(Branch):
    """Where an object's center is, and how to get there: a heat map and offsets (Panoptic-DeepLab, section 3.2)."""

    def __init__(self, builder: HeadBuilder) -> None:
        settings = builder.settings
        centers, decoder = settings.centers, settings.decoder
        super().__init__(builder, centers.aspp_channels, centers.projected, centers.channels)
        widths = [self.channels, centers.head_channels]
        first = builder.plain.make(self.channels, self.channels, 3)
        self.center = nn.Sequential(first, builder.plain.make(self.channels, centers.head_channels, 3))
        self.offset = builder.convolutions(self.channels, widths[1:] if decoder.kernel_size == 5 else widths)
        self.center_predictor = predictor(centers.head_channels, 1)
        self.offset_predictor = predictor(centers.head_channels, 2)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Heat maps `[B, 1, h, w]` and offsets `[B, 2, h, w]` (y, x) in cells; `maps` as for `decode`."""
        x = self.decode(maps)
        return self.center_predictor(self.center(x)), self.offset_predictor(self.offset(x))


class AuxHead(nn.Module):
    """The auxiliary head on the last stage but one: logits `[B, K + 1, h, w]` for a second loss."""

    def __init__(self, builder: HeadBuilder, in_channels: int, classes: int) -> None:
        super().__init__()
        width = in_channels // 4
        self.conv = Convolution(in_channels, width, 3, builder.norm)
        self.dropout, self.predictor = nn.Dropout(0.1), predictor(width, classes + 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[B, K + 1, h, w]` from `[B, C, h, w]`."""
        logits: Tensor = self.predictor(self.dropout(self.conv(x)))
        return logits


def predictor(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A last layer: small random weights, no offset."""
    layer = nn.Conv2d(in_channels, out_channels, 1)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.get_parameter("bias"))
    return layer
