"""Prototypes, and the head that all levels share. Source: Bolya et al., YOLACT (2019), section 3."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clothseg.config import PrototypeSettings, YolactHeadSettings
from clothseg.networks.layers.norms import Convolution, make_norm


class Prototypes(nn.Module):
    """Maps of the whole photo, twice as fine as the finest FPN level; every mask is a weighted sum of them."""

    def __init__(self, settings: PrototypeSettings, channels: int, norm_eps: float = 1e-5) -> None:
        super().__init__()
        norm = make_norm(settings.norm, norm_eps)
        widths = [channels] + [settings.channels] * settings.num_conv
        self.convs = nn.ModuleList(Convolution(a, b, 3, norm) for a, b in pairwise(widths))
        self.fine = Convolution(widths[-1], settings.channels, 3, norm)
        self.last = _plain(settings.channels, settings.count, 1)

    def forward(self, finest: Tensor) -> Tensor:
        """`[B, count, 2 * h, 2 * w]`, not negative, from the finest level `[B, C, h, w]`."""
        x = finest
        for conv in self.convs:
            x = conv(x)
        x = torch.relu_(F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))
        return torch.relu_(self.last(self.fine(x)))


class PredictionHead(nn.Module):
    """Class logits, box deltas and mask coefficients of the anchors at every cell of every level.

    The rows of the class layer are ordered by class, background first, then by anchor; those of the others by anchor.

    Args:
        settings: of the convolutions.
        channels: of the levels.
        anchors: at each cell.
        classes: besides background.
        prototypes: how many there are.
        norm_eps: epsilon of the norms.
    """

    def __init__(
        self,
        settings: YolactHeadSettings,
        channels: int,
        anchors: int,
        classes: int,
        prototypes: int,
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.anchors, self.rows = anchors, (classes + 1, 4, prototypes)
        norm = make_norm(settings.norm, norm_eps)
        widths = [channels] + [settings.channels] * settings.num_conv
        self.convs = nn.ModuleList(Convolution(a, b, 3, norm) for a, b in pairwise(widths))
        self.score, self.delta, self.coefficient = (_plain(widths[-1], anchors * count, 3) for count in self.rows)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """The output maps `[B, A * rows, h, w]` of the class layer on each level, then of the other two layers."""
        hidden = []
        for level in levels:
            x = level
            for conv in self.convs:
                x = conv(x)
            hidden.append(x)
        return [layer(x) for layer in (self.score, self.delta, self.coefficient) for x in hidden]

    def by_anchor(self, maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """What `forward` gives, anchor by anchor: level by level, row by row, column by column, shape by shape.

        Returns:
            logits `[B, N, K + 1]`, box deltas `[B, N, 4]`, and mask coefficients before their tanh `[B, N, count]`, all
            in float32.
        """
        levels, (kinds, *_), shapes = len(maps) // 3, self.rows, self.anchors
        logits = [m.reshape(len(m), kinds, shapes, *m.shape[2:]).permute(0, 3, 4, 2, 1) for m in maps[:levels]]
        others = [m.reshape(len(m), shapes, -1, *m.shape[2:]).permute(0, 3, 4, 1, 2) for m in maps[levels:]]
        parts = (logits, others[:levels], others[levels:])
        scores, deltas, coefficients = (torch.cat([m.float().flatten(1, 3) for m in part], dim=1) for part in parts)
        return scores, deltas, coefficients


def _plain(in_channels: int, out_channels: int, size: int) -> nn.Conv2d:
    layer = nn.Conv2d(in_channels, out_channels, size, padding=size // 2)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.get_parameter("bias"))
    return layer
