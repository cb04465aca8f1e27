"""Detections as NumPy arrays: what `Instances` are with torch, for programs that run without it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from clothseg.instances.array_masks import ArrayMasks

if TYPE_CHECKING:  # it needs torch
    from clothseg.instances.instances import Instances

Found = TypeVar("Found", "Instances", "ArrayInstances")
"""Detections with or without torch: a function that takes one kind returns the same kind."""
Index = int | slice | Sequence[int] | NDArray[Any]


@dataclass(frozen=True)
class ArrayInstances:
    """The detections on one photo, best first. An index selects some, as with `Instances`.

    Attributes:
        size: height and width of the photo in pixels.
        boxes: `[N, 4]` float32, x1 y1 x2 y2 in the photo's pixels.
        classes: `[N]` int64, 1..K.
        scores: `[N]` float32 in 0..1.
        masks: N masks of the photo's size.
        names: of the classes 1..K; empty if they are not known.
    """

    size: tuple[int, int]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    scores: NDArray[np.float32]
    masks: ArrayMasks
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Index) -> Self:
        """Selects instances by a position, a slice, bools `[N]` or positions."""
        chosen = np.asarray(index, dtype=None if len(index) else np.int64) if isinstance(index, list) else index
        positions = np.atleast_1d(np.arange(len(self))[chosen])
        return replace(
            self,
            boxes=self.boxes[positions],
            classes=self.classes[positions],
            scores=self.scores[positions],
            masks=self.masks.select(positions.tolist()),
        )

    def __iter__(self) -> Iterator[Self]:
        """Yields each object alone."""
        return (self[position] for position in range(len(self)))

    @property
    def crowd(self) -> NDArray[np.bool_]:
        """`[N]` bool, all False: a detection is never a crowd."""
        return np.zeros(len(self), dtype=np.bool_)

    @property
    def has_mask(self) -> NDArray[np.bool_]:
        """`[N]` bool, all True: a detection has a mask."""
        return np.ones(len(self), dtype=np.bool_)

    @property
    def class_names(self) -> list[str]:
        """The name of each object's class; its number as text if names are not known."""
        return [self.names[c - 1] if c <= len(self.names) else str(c) for c in self.classes.tolist()]

    def mask_arrays(self) -> NDArray[np.bool_]:
        """The masks `[N, H, W]` bool of the photo's size."""
        return self.masks.pixels()

    def to_instances(self) -> "Instances":
        """The same as `Instances`, with torch's tensors; the masks as run lengths."""
        import torch  # noqa: PLC0415 - only who asks for tensors needs it

        from clothseg.instances.instances import Instances  # noqa: PLC0415
        from clothseg.instances.masks import RleMasks  # noqa: PLC0415

        boxes, classes, scores = (torch.from_numpy(a.copy()) for a in (self.boxes, self.classes, self.scores))
        masks = RleMasks(self.masks.rle(), self.size)
        return Instances(self.size, boxes, classes, masks, scores, names=self.names)
