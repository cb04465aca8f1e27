"""Masks of some of the objects on a photo; the others have only a box, and take no memory."""

from dataclasses import dataclass

import torch
from torch import Tensor

from clothseg.instances.masks import Masks
from clothseg.instances.rle import Rle, empty_rle


@dataclass(frozen=True)
class SomeMasks:
    """N masks of one photo, of which only some have pixels.

    Attributes:
        known: the masks that have pixels, in any form.
        rows: `[N]` int64 on the CPU, the position of each object's mask in `known`; -1 where there is none.
    """

    known: Masks
    rows: Tensor

    @classmethod
    def of(cls, known: Masks, has_mask: Tensor) -> "SomeMasks":
        """`known` are the masks of the objects for which `has_mask` `[N]` bool is True, in their order."""
        there = has_mask.cpu()
        return cls(known, torch.where(there, there.cumsum(0) - 1, -1))

    @property
    def size(self) -> tuple[int, int]:
        """See `Masks.size`."""
        return self.known.size

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, positions: Tensor) -> Masks:
        """See `Masks.select`. If all selected objects have a mask, the answer is in the form of `known`."""
        rows = self.rows[positions.cpu()]
        present = rows >= 0
        known = self.known.select(rows[present])
        return known if bool(present.all()) else SomeMasks.of(known, present)

    def boxes(self) -> Tensor:
        """See `Masks.boxes`."""
        return self._with_empty(self.known.boxes())

    def pixels(self) -> Tensor:
        """See `Masks.pixels`."""
        return self._with_empty(self.known.pixels())

    def soft(self, rows: slice | None = None, columns: slice | None = None) -> Tensor:
        """See `Masks.soft`."""
        return self._with_empty(self.known.soft(rows, columns))

    def rle(self) -> list[Rle]:
        """See `Masks.rle`."""
        known, empty = self.known.rle(), empty_rle(self.size)
        return [known[row] if row >= 0 else empty for row in self.rows.tolist()]

    def _with_empty(self, known: Tensor) -> Tensor:
        """`[N, ...]` from the values `[K, ...]` of the masks that have pixels; 0 for the others."""
        answer = known.new_zeros((len(self), *known.shape[1:]))
        answer[(self.rows >= 0).to(known.device)] = known[self.rows[self.rows >= 0].to(known.device)]
        return answer
