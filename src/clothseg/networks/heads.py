"""The two heads: class and box of a proposal, mask of a detection. Source: He et al., Mask R-CNN (2017)."""

import torch.nn.functional as F
from torch import Tensor, nn

from clothseg.config import Config


class BoxHead(nn.Module):
    """Two wide layers, then class scores and box codes for every class. Class 0 is background."""

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__()
        settings = config.boxes
        self.fc1 = nn.Linear(config.pyramid.channels * settings.pooled**2, settings.hidden)
        self.fc2 = nn.Linear(settings.hidden, settings.hidden)
        self.dropout = nn.Dropout(settings.dropout)
        self.score = nn.Linear(settings.hidden, classes + 1)
        self.delta = nn.Linear(settings.hidden, 4 * (classes + 1))

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[P, K + 1]` and codes `[P, K + 1, 4]` of proposals' features `[P, C, 7, 7]`."""
        hidden = F.relu(self.fc1(pooled.flatten(1)))
        hidden = self.dropout(F.relu(self.fc2(hidden)))
        return self.score(hidden), self.delta(hidden).view(len(hidden), -1, 4)


class MaskHead(nn.Module):
    """A few convolutions, one doubling of the size, and a map of logits for every class."""

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__()
        settings = config.mask
        channels = config.pyramid.channels
        self.convs = nn.ModuleList()
        for _ in range(settings.convolutions):
            self.convs.append(nn.Conv2d(channels, settings.channels, 3, padding=1))
            channels = settings.channels
        self.up = nn.ConvTranspose2d(channels, settings.channels, 2, 2)
        self.logits = nn.Conv2d(settings.channels, classes + 1, 1)
        for layer in (*self.convs, self.up, self.logits):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """Logits `[P, K + 1, 28, 28]` of boxes' features `[P, C, 14, 14]`."""
        for conv in self.convs:
            pooled = F.relu(conv(pooled))
        answer: Tensor = self.logits(F.relu(self.up(pooled)))
        return answer
