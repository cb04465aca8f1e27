"""`Instances`: the objects on one photo, either ground truth or detections."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clothseg.instances.coco_types import CocoResult
from clothseg.instances.convert import coco_results, to_detections, to_frame
from clothseg.instances.masks import Masks

if TYPE_CHECKING:
    import pandas
    import supervision


def _not_given() -> Tensor:
    return torch.empty(0)


@dataclass(frozen=True, repr=False)
class Instances:
    """The objects on one photo. All tensors have the same length N.

    An index selects some, as `Instances`: a number (one object), a slice, a bool tensor or positions. A loop gives one
    object at a time.

    Attributes:
        size: height and width of the photo in pixels.
        boxes: `[N, 4]` float, x1 y1 x2 y2 in the photo's pixels.
        classes: `[N]` int64, 1..K. 0 is background and does not occur.
        masks: N masks of the photo's size, in any of the forms of `Masks`.
        scores: `[N]` float in 0..1. Detections are sorted, highest first; ground truth has 1.
        crowd: `[N]` bool, True where the mask is a region of many or unclear objects (COCO's `iscrowd`).
        has_mask: `[N]` bool, False where only the box of an object is known; its mask has no pixel then.
        names: of the classes 1..K; empty if they are not known.

    Raises:
        ValueError: the fields have different lengths, or `boxes` is not `[N, 4]`.
    """

    size: tuple[int, int]
    boxes: Tensor
    classes: Tensor
    masks: Masks
    scores: Tensor = field(default_factory=_not_given)
    crowd: Tensor = field(default_factory=_not_given)
    names: tuple[str, ...] = ()
    has_mask: Tensor = field(default_factory=_not_given)

    def __post_init__(self) -> None:
        count = len(self.boxes)
        if len(self.scores) == 0:
            object.__setattr__(self, "scores", torch.ones(count, device=self.boxes.device))
        if len(self.crowd) == 0:
            object.__setattr__(self, "crowd", torch.zeros(count, dtype=torch.bool, device=self.boxes.device))
        if len(self.has_mask) == 0:
            object.__setattr__(self, "has_mask", torch.ones(count, dtype=torch.bool, device=self.boxes.device))
        flags = {len(self.crowd), len(self.has_mask)}
        lengths = {len(self.classes), len(self.masks), len(self.scores), *flags, count}
        if len(lengths) != 1 or self.boxes.shape[1:] != (4,):
            raise ValueError(
                f"boxes have the shape {tuple(self.boxes.shape)}, expected [N, 4]; the fields have the lengths "
                f"{sorted(lengths)}, expected one length"
            )

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        """For example `Instances(3 on 480 x 640 pixels (height x width), Suit: 2, Dress: 1, best score 0.97)`."""
        height, width = self.size
        text = f"{len(self)} on {height} x {width} pixels (height x width)"
        if len(self):
            counts = sorted(Counter(self.classes.tolist()).items())
            text += ", " if self.names else ", classes "
            text += ", ".join(f"{self.class_name(class_id)}: {count}" for class_id, count in counts)
            text += f", best score {float(self.scores.max()):.2f}"
        if crowds := int(self.crowd.sum()):
            text += f", crowds {crowds}"
        if box_only := int((~self.has_mask).sum()):
            text += f", without a mask {box_only}"
        return f"Instances({text})"

    def __getitem__(self, index: int | slice | Tensor | NDArray[Any] | list[int] | list[bool]) -> Self:
        """Selects instances by a position, a slice, bools `[N]`, or positions (a list, an array or a tensor)."""
        if isinstance(index, Tensor | np.ndarray | np.integer) and index.ndim == 0:
            index = int(index)
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"there are {len(self)} instances, so there is no position {index}")
            index = torch.tensor([index % len(self)])
        if isinstance(index, str):
            raise TypeError(
                f"select instances by positions or a bool tensor, not by {index!r}; their classes are in `class_names`"
            )
        index = torch.tensor(index, dtype=None if index else torch.int64) if isinstance(index, list) else index
        index = index.to(self.boxes.device) if isinstance(index, Tensor) else index
        positions = torch.arange(len(self), device=self.boxes.device)[index]
        return replace(
            self,
            boxes=self.boxes[positions],
            classes=self.classes[positions],
            masks=self.masks.select(positions),
            scores=self.scores[positions],
            crowd=self.crowd[positions],
            has_mask=self.has_mask[positions],
        )

    def __iter__(self) -> Iterator[Self]:
        """Yields each object alone, as `Instances` of length 1."""
        return (self[position] for position in range(len(self)))

    def class_name(self, class_id: int) -> str:
        """The name of a class 1..K; its number as text if names are not known."""
        return self.names[class_id - 1] if 1 <= class_id <= len(self.names) else str(class_id)

    @property
    def class_names(self) -> list[str]:
        """The name of each object's class."""
        return [self.class_name(class_id) for class_id in self.classes.tolist()]

    def mask_arrays(self) -> NDArray[np.bool_]:
        """The masks `[N, H, W]` bool of the photo's size, for NumPy."""
        pixels: NDArray[np.bool_] = self.masks.pixels().cpu().numpy()
        return pixels

    def to_coco(self, image_id: int = 1) -> list[CocoResult]:
        """The objects as COCO results, with classes 1..K as `category_id` and RLE masks."""
        return coco_results(image_id, self, lambda class_id: class_id)

    def to_pandas(self) -> "pandas.DataFrame":
        """A row for each object: class, class_id (1..K), score, x1, y1, x2, y2 (pixels), area (pixels of the mask).

        Raises:
            ClothsegError: pandas is not installed.
        """
        return to_frame(self)

    def to_supervision(self) -> "supervision.Detections":
        """The objects for the library supervision, with classes 1..K, and their names in `data["class_name"]`.

        Raises:
            ClothsegError: supervision is not installed.
        """
        return to_detections(self)
