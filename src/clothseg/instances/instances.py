"""`Instances`: the objects on one photo, either ground truth or detections."""

from collections import Counter
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from clothseg.instances.masks import Masks


@dataclass(frozen=True, repr=False)
class Instances:
    """The objects on one photo. All tensors have the same length N. A slice or a tensor as index selects some.

    Attributes:
        size: height and width of the photo in pixels.
        boxes: `[N, 4]` float, x1 y1 x2 y2 in the photo's pixels.
        classes: `[N]` int64, 1..K. 0 is background and does not occur.
        masks: N masks of the photo's size, in any of the forms of `Masks`.
        scores: `[N]` float in 0..1. Detections are sorted, highest first; ground truth has 1.
        crowd: `[N]` bool, True where the mask is a region of many or unclear objects (COCO's `iscrowd`).

    Raises:
        ValueError: the fields have different lengths, or `boxes` is not `[N, 4]`.
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
            object.__setattr__(self, "scores", torch.ones(count, device=self.boxes.device))
        if len(self.crowd) == 0 and count:
            object.__setattr__(self, "crowd", torch.zeros(count, dtype=torch.bool, device=self.boxes.device))
        lengths = {len(self.classes), len(self.masks), len(self.scores), len(self.crowd), count}
        if len(lengths) != 1 or self.boxes.shape[1:] != (4,):
            raise ValueError(
                f"boxes have the shape {tuple(self.boxes.shape)}, expected [N, 4]; the fields have the lengths "
                f"{sorted(lengths)}, expected one length"
            )

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        """For example `Instances(3 on 480 x 640 pixels (height x width), classes 1: 2, 4: 1, best score 0.97)`."""
        height, width = self.size
        text = f"{len(self)} on {height} x {width} pixels (height x width)"
        if len(self):
            counts = sorted(Counter(self.classes.tolist()).items())
            text += f", classes {', '.join(f'{class_id}: {count}' for class_id, count in counts)}"
            text += f", best score {float(self.scores.max()):.2f}"
        if crowds := int(self.crowd.sum()):
            text += f", crowds {crowds}"
        return f"Instances({text})"

    def __getitem__(self, index: slice | Tensor) -> "Instances":
        """Selects instances by a slice, a bool tensor `[N]` or an int64 tensor of positions."""
        positions = torch.arange(len(self))[index.cpu() if isinstance(index, Tensor) else index]
        return replace(
            self,
            boxes=self.boxes[index],
            classes=self.classes[index],
            masks=self.masks.select(positions),
            scores=self.scores[index],
            crowd=self.crowd[index],
        )
