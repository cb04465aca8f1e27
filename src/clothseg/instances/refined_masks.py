"""A network's masks with other edges: pixels of their own, and the network's certainty."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from clothseg.instances.array_masks import ArrayMasks
from clothseg.instances.rle import BoolMask, Rle

if TYPE_CHECKING:
    from torch import Tensor

    from clothseg.instances.masks import CropMasks, Masks


@dataclass(frozen=True)
class RefinedMasks:
    """N masks of one photo; see `Masks`.

    Attributes:
        network: the masks as the network gives them, which know how certain it is.
        refined: the same masks with other edges.
    """

    network: "Masks"
    refined: "CropMasks"

    @property
    def size(self) -> tuple[int, int]:
        """See `Masks.size`."""
        return self.refined.size

    def __len__(self) -> int:
        return len(self.refined)

    def select(self, positions: "Tensor") -> "RefinedMasks":
        """See `Masks.select`."""
        return RefinedMasks(self.network.select(positions), self.refined.select(positions))

    def boxes(self) -> "Tensor":
        """See `Masks.boxes`."""
        return self.refined.boxes()

    def pixels(self) -> "Tensor":
        """See `Masks.pixels`."""
        return self.refined.pixels()

    def soft(self, rows: slice | None = None, columns: slice | None = None) -> "Tensor":
        """The network's certainty, whose edges are not those of `pixels`; see `Masks.soft`."""
        return self.network.soft(rows, columns)

    def rle(self) -> list[Rle]:
        """See `Masks.rle`."""
        return self.refined.rle()


@dataclass(frozen=True)
class RefinedArrayMasks(ArrayMasks):
    """What `RefinedMasks` is with torch.

    Attributes:
        network: the masks as the network gives them.
        crops: rows, columns and pixels of each of the same masks with other edges.
    """

    network: ArrayMasks
    crops: Sequence[tuple[slice, slice, BoolMask]]

    def select(self, positions: Sequence[int]) -> Self:
        """See `ArrayMasks.select`."""
        chosen = list(positions)
        network, crops = self.network.select(chosen), [self.crops[position] for position in chosen]
        return type(self)(self.in_boxes[chosen], self.size, network, crops)

    def crop(self, position: int) -> tuple[slice, slice, BoolMask]:
        """See `ArrayMasks.crop`."""
        return self.crops[position]

    def soft(self, rows: slice | None = None, columns: slice | None = None) -> NDArray[np.float32]:
        """The network's certainty, whose edges are not those of `pixels`; see `Masks.soft`."""
        return self.network.soft(rows, columns)
