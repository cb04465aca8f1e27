"""`Instances`: what is on one photo, as truth or as found."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from clothseg.instances.masks import Masks


@dataclass(frozen=True)
class Instances:
    """The instances on one photo. All tensors have the same length N; index with a slice or a tensor to choose some.

    Attributes:
        size: height and width of the photo in pixels.
        boxes: `[N, 4]` float, x1 y1 x2 y2 in the photo's pixels.
        classes: `[N]` int64, 1..K; 0 is background and never stands here.
        masks: N masks of the photo's size, in whatever form they came.
        scores: `[N]` float in 0..1, highest first for detections; all 1 for truth.
        crowd: `[N]` bool, True where the mask is a region of many or unclear objects, to be ignored.
    """

    size: tuple[int, int]
    boxes: Tensor
    classes: Tensor
    masks: Masks
    scores: Tensor = field(default_factory=lambda: torch.empty(0))
    crowd: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.bool))

    def __post_init__(self) -> None:
        count = len(self.boxes)
        if len(self.scores) == 0 and count:
            object.__setattr__(self, "scores", torch.ones(count))
        if len(self.crowd) == 0 and count:
            object.__setattr__(self, "crowd", torch.zeros(count, dtype=torch.bool))
        lengths = {len(self.classes), len(self.masks), len(self.scores), len(self.crowd), count}
        if len(lengths) != 1 or self.boxes.shape[1:] != (4,):
            raise ValueError(f"boxes {tuple(self.boxes.shape)} and the other fields differ in length: {lengths}")

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: slice | Tensor) -> "Instances":
        """Those chosen by a slice, a bool tensor `[N]` or an int64 tensor of positions."""
        positions = torch.arange(len(self))[index.cpu() if isinstance(index, Tensor) else index]
        return replace(
            self,
            boxes=self.boxes[index],
            classes=self.classes[index],
            masks=self.masks.select(positions),
            scores=self.scores[index],
            crowd=self.crowd[index],
        )
