"""The masks of one photo, in six forms with one protocol.

Here are those that have their pixels: `RleMasks` (as on disk), `PixelMasks` (all pixels of each mask) and `CropMasks`
(the pixels in its box). The others compute pixels on demand: those of `map_masks.py` have a network's small map for
each mask, those of `label_masks.py` one grid of labels for the whole photo.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from clothseg.instances.boxes import boxes_of_masks, from_xywh
from clothseg.instances.rle import BoolMask, Rle, decode, encode, tight_box


class Masks(Protocol):
    """N masks of one photo of `size` (height, width)."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the photo."""
        ...

    def __len__(self) -> int: ...

    def select(self, positions: Tensor) -> "Masks":
        """Selects masks by `positions`, int64 `[K]`, in that order."""
        ...

    def boxes(self) -> Tensor:
        """Boxes around the masks: `[N, 4]` float, x1 y1 x2 y2 in pixels. An empty mask gives all 0."""
        ...

    def pixels(self) -> Tensor:
        """All pixels: `[N, H, W]` bool, on the device of the masks' data."""
        ...

    def soft(self, rows: slice | None = None, columns: slice | None = None) -> Tensor:
        """The certainty that each pixel belongs to the mask: `[N, H, W]` float32 in 0..1. The edge is at 0.5.

        It is on the device of the masks' data.

        Args:
            rows: the part of the photo to compute. Default: all rows.
            columns: the part of the photo to compute. Default: all columns.
        """
        ...

    def rle(self) -> list[Rle]:
        """The masks as N run-length encodings."""
        ...


@dataclass(frozen=True)
class RleMasks:
    """Masks as run-length encodings: small and exact."""

    runs: Sequence[Rle]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.runs)

    def select(self, positions: Tensor) -> "RleMasks":
        """See `Masks.select`."""
        return RleMasks([self.runs[i] for i in positions.tolist()], self.size)

    def boxes(self) -> Tensor:
        """See `Masks.boxes`."""
        return from_xywh(torch.tensor([tight_box(rle) for rle in self.runs], dtype=torch.float32).reshape(-1, 4))

    def pixels(self) -> Tensor:
        """See `Masks.pixels`."""
        if not self.runs:
            return torch.zeros((0, *self.size), dtype=torch.bool)
        return torch.from_numpy(np.stack([decode(rle) for rle in self.runs]))

    def soft(self, rows: slice | None = None, columns: slice | None = None) -> Tensor:
        """See `Masks.soft`."""
        return self.pixels()[:, rows or slice(None), columns or slice(None)].float()

    def rle(self) -> list[Rle]:
        """See `Masks.rle`."""
        return list(self.runs)


@dataclass(frozen=True)
class PixelMasks:
    """Masks as pixels, `[N, H, W]` bool: fast to work with, but large."""

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

    def boxes(self) -> Tensor:
        """See `Masks.boxes`."""
        return boxes_of_masks(self.values)

    def pixels(self) -> Tensor:
        """See `Masks.pixels`."""
        return self.values

    def soft(self, rows: slice | None = None, columns: slice | None = None) -> Tensor:
        """See `Masks.soft`."""
        return self.values[:, rows or slice(None), columns or slice(None)].float()

    def rle(self) -> list[Rle]:
        """See `Masks.rle`."""
        return [encode(mask) for mask in self.values.cpu().numpy()]


@dataclass(frozen=True)
class CropMasks:
    """Masks as the pixels in their tight boxes: as fast to work with as all pixels, but small.

    Attributes:
        crops: the pixels `[h, w]` of each; `[0, 0]` of an empty mask.
        corners: left and top of each.
        size: height and width of the photo.
    """

    crops: Sequence[BoolMask]
    corners: Sequence[tuple[int, int]]
    size: tuple[int, int]

    @classmethod
    def cut(cls, masks: Iterable[BoolMask], size: tuple[int, int]) -> "CropMasks":
        """Cuts masks `[H, W]`, which may be made one after another, so that few are in memory."""
        crops, corners = [], []
        for mask in masks:
            left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
            crops.append(mask[top : top + height, left : left + width].copy())
            corners.append((left, top))
        return cls(crops, corners, size)

    def __len__(self) -> int:
        return len(self.crops)

    def select(self, positions: Tensor) -> "CropMasks":
        """See `Masks.select`."""
        chosen = positions.tolist()
        return CropMasks([self.crops[i] for i in chosen], [self.corners[i] for i in chosen], self.size)

    def joined(self, others: "CropMasks") -> "CropMasks":
        """These masks, and after them others of the same photo."""
        return CropMasks([*self.crops, *others.crops], [*self.corners, *others.corners], self.size)

    def union(self) -> BoolMask:
        """The pixels `[H, W]` that belong to any of the masks."""
        whole: BoolMask = np.zeros(self.size, dtype=np.bool_)
        for crop, (left, top) in zip(self.crops, self.corners, strict=True):
            whole[top : top + crop.shape[0], left : left + crop.shape[1]] |= crop
        return whole

    def boxes(self) -> Tensor:
        """See `Masks.boxes`."""
        pairs = zip(self.corners, self.crops, strict=True)
        found = [(*corner, *crop.shape[::-1]) if crop.size else (0, 0, 0, 0) for corner, crop in pairs]
        return from_xywh(torch.tensor(found, dtype=torch.float32).reshape(-1, 4))

    def pixels(self) -> Tensor:
        """See `Masks.pixels`."""
        canvas = np.zeros((len(self), *self.size), dtype=np.bool_)
        for mask, crop, (left, top) in zip(canvas, self.crops, self.corners, strict=True):
            mask[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
        return torch.from_numpy(canvas)

    def soft(self, rows: slice | None = None, columns: slice | None = None) -> Tensor:
        """See `Masks.soft`."""
        return self.pixels()[:, rows or slice(None), columns or slice(None)].float()

    def rle(self) -> list[Rle]:
        """See `Masks.rle`."""
        return [encode(mask) for mask in each_mask(self)]


def each_mask(masks: Masks) -> Iterator[BoolMask]:
    """The pixels `[H, W]` of one mask after another, so that few are in memory."""
    for position in range(len(masks)):
        yield masks.select(torch.tensor([position])).pixels()[0].cpu().numpy()
