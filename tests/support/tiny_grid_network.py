"""A network of a few layers: one label grid for the whole photo instead of masks in boxes, and losses of its own."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from clothseg.config import Config, NetworkSettings, Section
from clothseg.networks import Network
from clothseg.networks.detections import Detections, LabelGrid
from clothseg.networks.placement import InputConventions, InputPlacement
from clothseg.networks.target import Target

STRIDE = 8


class TinyLossWeights(Section):
    semantic: float = 1.0
    area: float = 1.0


class TinySettings(NetworkSettings):
    name: Literal["tiny_grid"] = "tiny_grid"
    loss_weights: TinyLossWeights = Field(default_factory=TinyLossWeights)


class TinyGridNetwork(Network):
    """Classifies each cell of a grid; all cells of one class are one instance."""

    loss_names = ("semantic", "area")
    head_prefixes = ("head.",)
    class_layers = ("head.",)

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__(config, classes)
        self.add_backbone((3,))
        self.head = nn.Conv2d(self.backbone.channels[0], classes + 1, 1)

    @classmethod
    def input_conventions(cls, config: Config) -> InputConventions:
        return InputConventions(centred=True)

    def head_losses(
        self, features: list[Tensor], placements: Sequence[InputPlacement], targets: Sequence[Target]
    ) -> dict[str, Tensor]:
        logits = self.head(features[0])
        truth = torch.stack([self._grid(t, p, logits.shape[-2:]) for t, p in zip(targets, placements, strict=True)])
        area = (logits.softmax(1)[:, 1:].sum(1).mean() - (truth > 0).float().mean()).abs()
        return {"semantic": F.cross_entropy(logits, truth), "area": area}

    @staticmethod
    def _grid(target: Target, at: InputPlacement, size: Sequence[int]) -> Tensor:
        canvas = torch.zeros(at.padded, dtype=torch.int64, device=target.masks.device)
        inside = canvas[at.top : at.top + at.height, at.left : at.left + at.width]
        for number in range(len(target.masks)):  # of an object without a mask nothing is learned
            inside.copy_(torch.where(target.masks[number] > 0, target.classes[number], inside))
        return canvas[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE][: size[0], : size[1]]

    def head_detections(self, outputs: list[Tensor], placements: Sequence[InputPlacement]) -> list[Detections]:
        probabilities = self.head(outputs[0]).softmax(1)
        return [self._instances(p) for p in probabilities]

    def _instances(self, probabilities: Tensor) -> Detections:
        highest, labels = probabilities.max(0)
        grid, rows = torch.zeros_like(labels), []
        for label in sorted(set(labels[labels > 0].tolist())):
            cells = labels == label
            y, x = torch.where(cells)
            box = [float(side) * STRIDE for side in (x.min(), y.min(), x.max() + 1, y.max() + 1)]
            rows.append((float(highest[cells].mean()), label, box))
        rows.sort(reverse=True)
        for number, (_, label, _) in enumerate(rows, start=1):
            grid[labels == label] = number
        boxes = highest.new_tensor([box for *_, box in rows]).reshape(-1, 4)
        classes = labels.new_tensor([label for _, label, _ in rows])
        return Detections(boxes, classes, highest.new_tensor([score for score, *_ in rows]), LabelGrid(grid, highest))
