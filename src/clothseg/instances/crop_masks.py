"""Masks as the pixels in their boxes: as fast to work with as all pixels, but small."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from clothseg.instances.boxes import from_xywh
from clothseg.instances.masks import Masks
from clothseg.instances.rle import BoolMask, Rle, encode


@dataclass(frozen=True)
class CropMasks:
    """N masks of one photo, each cut to its tight box.

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
