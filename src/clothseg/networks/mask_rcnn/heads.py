"""The box head and the mask head (He et al., Mask R-CNN, 2017), and a second stage of the mask."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clothseg.config import BoxHeadSettings, MaskHeadSettings, MaskRefinementSettings
from clothseg.networks.layers.norms import Convolution, group_norm, make_norm

FINE = 2
"""The level of the backbone whose features it takes, as the power of two of their stride."""


class BoxHead(nn.Module):
    """Convolutions if any, dense layers, then logits and box deltas for every class. Class 0 is background."""

    def __init__(self, settings: BoxHeadSettings, channels: int, classes: int, norm_eps: float = 1e-5) -> None:
        super().__init__()
        norm, dense_norm = make_norm(settings.norm, norm_eps), make_norm(settings.fc_norm, norm_eps)
        self.convs = nn.ModuleList(Convolution(channels, channels, 3, norm) for _ in range(settings.num_conv))
        sizes = [channels * settings.pool_size**2] + [settings.fc_dim] * settings.num_fc
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(dense_norm(settings.fc_dim) if dense_norm else nn.Identity() for _ in self.dense)
        self.dropout = nn.Dropout(settings.dropout)
        self.score = nn.Linear(settings.fc_dim, classes + 1)
        self.delta = nn.Linear(settings.fc_dim, 4 * (classes + 1))

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[P, K + 1]` and box deltas `[P, K + 1, 4]`, in float32, from proposals' features `[P, C, 7, 7]`."""
        for conv in self.convs:
            pooled = conv(pooled)
        hidden = pooled.flatten(1)
        for dense, norm in zip(self.dense, self.norms, strict=True):
            hidden = F.relu(norm(dense(hidden)))
        hidden = self.dropout(hidden)
        logits, deltas = self.score(hidden).float(), self.delta(hidden).float()
        return logits, deltas.view(len(hidden), self.delta.out_features // 4, 4)


class MaskHead(nn.Module):
    """A few convolutions, one upsampling by 2, and a map of logits for every class."""

    def __init__(self, settings: MaskHeadSettings, channels: int, classes: int, norm_eps: float = 1e-5) -> None:
        super().__init__()
        norm = make_norm(settings.norm, norm_eps)
        widths = [channels] + [settings.channels] * settings.num_conv
        self.convs = nn.ModuleList(Convolution(a, b, 3, norm) for a, b in pairwise(widths))
        self.up = nn.ConvTranspose2d(widths[-1], settings.channels, 2, 2)
        self.logits = nn.Conv2d(settings.channels, classes + 1, 1)
        for layer in (self.up, self.logits):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.get_parameter("bias"))

    def forward(self, pooled: Tensor) -> Tensor:
        """Logits `[P, K + 1, 28, 28]` from boxes' features `[P, C, 14, 14]`."""
        for conv in self.convs:
            pooled = conv(pooled)
        answer: Tensor = self.logits(torch.relu_(self.up(pooled)))
        return answer

    def forward_for_class(self, pooled: Tensor, classes: Tensor) -> Tensor:
        """Logits `[P, 28, 28]`, float32, of one class for each box, `classes` `[P]`: the same as that row of `forward`.

        The upsampling is one matrix product here, which is several times as fast as the transposed convolution, and the
        last layer computes only the row of the class.
        """
        for conv in self.convs:
            pooled = conv(pooled)
        count, inside, height, width = pooled.shape
        cells = pooled.permute(0, 2, 3, 1).reshape(-1, inside)
        weight, bias = self.up.weight.permute(0, 2, 3, 1).reshape(inside, -1), self.up.get_parameter("bias")
        doubled = torch.relu_(torch.addmm(bias.repeat(4), cells, weight))
        # The gradient of an index is added up in several operations, that of an embedding in one.
        rows = F.embedding(classes, self.logits.weight.flatten(1))[..., None]
        offsets = F.embedding(classes, self.logits.get_parameter("bias")[:, None])[..., None]
        maps = (doubled.view(count, height * width * 4, len(bias)) @ rows).float() + offsets
        return maps.view(count, height, width, 2, 2).transpose(2, 3).reshape(count, 2 * height, 2 * width)


class MaskRefinement(nn.Module):
    """What a mask's logits change by at more cells.

    Args:
        settings: size, channels and convolutions.
        fine_channels: of the backbone's output at stride 4.
        channels: of the FPN.
    """

    def __init__(self, settings: MaskRefinementSettings, fine_channels: int, channels: int) -> None:
        super().__init__()
        self.size, width = settings.size, settings.channels
        self.fine = nn.Conv2d(fine_channels, width, 1)
        self.coarse = nn.Conv2d(channels, width, 1)
        self.smooth = Convolution(width, width, 3, group_norm)
        widths = [width + 1] + [width] * settings.num_conv
        self.convs = nn.ModuleList(Convolution(a, b, 3, group_norm) for a, b in pairwise(widths))
        self.change = nn.Conv2d(width, 1, 1)
        nn.init.zeros_(self.change.weight)  # it begins with the mask head's mask
        nn.init.zeros_(self.change.get_parameter("bias"))

    def fine_map(self, fine: Tensor, level: Tensor) -> Tensor:
        """Features `[B, c, h, w]` at stride 4, from the backbone's there and the finest FPN level."""
        above = F.interpolate(self.coarse(level), size=fine.shape[-2:], mode="bilinear")
        answer: Tensor = self.smooth(self.fine(fine) + above)
        return answer

    def forward(self, pooled: Tensor, logits: Tensor) -> Tensor:
        """Logits `[P, size, size]`, float32, from features `[P, c, size, size]` and the mask head's `[P, M, M]`."""
        larger = F.interpolate(logits[:, None], size=(self.size, self.size), mode="bilinear")
        x = torch.cat([pooled, larger.sigmoid().to(pooled.dtype)], dim=1)
        for conv in self.convs:
            x = conv(x)
        answer: Tensor = larger[:, 0] + self.change(x)[:, 0].float()
        return answer
