"""Masks of one photo, behind one interface.

`Masks` is `RleMasks` (as on disk), `PixelMasks` (on one grid), or `BoxMasks`: a network's small maps that become pixels
only when somebody asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from clothseg.instances.mask_paste import PasteRule, paste
from clothseg.instances.rle import Rle, decode, encode


class Masks(Protocol):
    """N masks of one photo of `size` (height, width)."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the photo."""
        ...

    def __len__(self) -> int: ...

    def select(self, positions: Tensor) -> "Masks":
        """Those at `positions`, int64 `[K]`, in that order."""
        ...

    def pixels(self) -> Tensor:
        """`[N, H, W]` bool."""
        ...

    def rle(self) -> list[Rle]:
        """N run-length forms."""
        ...


@dataclass(frozen=True)
class RleMasks:
    """Masks kept as run lengths: small, and exact."""

    runs: Sequence[Rle]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.runs)

    def select(self, positions: Tensor) -> "RleMasks":
        """See `Masks.select`."""
        return RleMasks([self.runs[i] for i in positions.tolist()], self.size)

    def pixels(self) -> Tensor:
        """See `Masks.pixels`."""
        if not self.runs:
            return torch.zeros((0, *self.size), dtype=torch.bool)
        return torch.from_numpy(np.stack([decode(rle) for rle in self.runs]))

    def rle(self) -> list[Rle]:
        """See `Masks.rle`."""
        return list(self.runs)


@dataclass(frozen=True)
class PixelMasks:
    """Masks kept as pixels, `[N, H, W]` bool: quick to work on, large."""

    values: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """See `Masks.size`."""
        return self.values.shape[1], self.values.shape[2]

    def __len__(self) -> int:
        return len(self.values)

    def select(self, positions: Tensor) -> "PixelMasks":
        """See `Masks.select`."""
        return PixelMasks(self.values[positions.to(self.values.device)])

    def pixels(self) -> Tensor:
        """See `Masks.pixels`."""
        return self.values

    def rle(self) -> list[Rle]:
        """See `Masks.rle`."""
        return [encode(mask) for mask in self.values.cpu().numpy()]


@dataclass(frozen=True)
class BoxMasks:
    """Masks as a network gives them: `probabilities` `[N, M, M]`, each in its own box of `boxes` `[N, 4]`.

    `rule` says how they become pixels; see `paste`.
    """

    probabilities: Tensor
    boxes: Tensor
    size: tuple[int, int]
    threshold: float = 0.5
    rule: PasteRule = "framed"

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, positions: Tensor) -> "BoxMasks":
        """See `Masks.select`."""
        positions = positions.to(self.boxes.device)
        return BoxMasks(self.probabilities[positions], self.boxes[positions], self.size, self.threshold, self.rule)

    def pixels(self) -> Tensor:
        """See `Masks.pixels`."""
        canvas = np.zeros((len(self), *self.size), dtype=np.bool_)
        for mask, probability, box in zip(canvas, self.probabilities, self.boxes, strict=True):
            rows, columns, crop = paste(probability, box, self.size, self.threshold, self.rule)
            mask[rows, columns] = crop
        return torch.from_numpy(canvas)

    def rle(self) -> list[Rle]:
        """See `Masks.rle`. One mask at a time, so that memory does not grow with their number."""
        return [encode(self.select(torch.tensor([i])).pixels()[0].numpy()) for i in range(len(self))]
