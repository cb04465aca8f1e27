"""Masks as small maps of probabilities, which a network gives: each in its own box, or over the whole photo."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from clothseg import cpu_path
from clothseg.instances.bilinear import AxisTaps, axis_taps, sample_maps
from clothseg.instances.map_samples import interpolate_map
from clothseg.instances.mask_paste import PasteRule, paste
from clothseg.instances.masks import Masks
from clothseg.instances.paste_together import paste_together, pasted_parts, soft_together
from clothseg.instances.rle import Rle, encode
from clothseg.instances.rle_together import encode_starts, run_starts

_CHUNK = 1 << 24  # pixels computed at once: four bytes each, some times over


@dataclass(frozen=True)
class BoxMasks:
    """Masks as small maps of probabilities, each in its own box.

    Attributes:
        probabilities: `[N, M, M]` float in 0..1. Pixels are computed on their device.
        in_boxes: `[N, 4]` float, x1 y1 x2 y2 in pixels of the photo; on any device.
        size: height and width of the photo.
        threshold: probability from which a pixel belongs to the mask.
        rule: how a map is converted to pixels; see `paste`.
    """

    probabilities: Tensor
    in_boxes: Tensor
    size: tuple[int, int]
    threshold: float = 0.5
    rule: PasteRule = "torchvision"

    def __len__(self) -> int:
        return len(self.in_boxes)

    def select(self, positions: Tensor) -> "BoxMasks":
        """See `Masks.select`."""
        probabilities = self.probabilities[positions.to(self.probabilities.device, non_blocking=True)]
        return replace(self, probabilities=probabilities, in_boxes=self.in_boxes[positions.to(self.in_boxes.device)])

    def boxes(self) -> Tensor:
        """See `Masks.boxes`."""
        return self.in_boxes

    def pixels(self) -> Tensor:
        """See `Masks.pixels`."""
        if not cpu_path.uses_cpu_path(self.probabilities):
            return paste_together(self.probabilities, self._boxes_there(), self.size, self.threshold, self.rule)
        canvas = np.zeros((len(self), *self.size), dtype=np.bool_)
        for mask, probability, box in zip(canvas, self.probabilities, self.in_boxes, strict=True):
            rows, columns, crop = paste(probability, box, self.size, self.threshold, self.rule)
            mask[rows, columns] = crop
        return torch.from_numpy(canvas)

    def soft(self, rows: slice | None = None, columns: slice | None = None) -> Tensor:
        """See `Masks.soft`. Maps are interpolated linearly at pixel centres; `rule` is not used."""
        rows, columns = rows or slice(0, self.size[0]), columns or slice(0, self.size[1])
        if not cpu_path.uses_cpu_path(self.probabilities):
            return soft_together(self.probabilities.detach(), self._boxes_there(), rows, columns, self.threshold)
        maps = self.probabilities.detach().float().cpu().numpy()
        centred = np.interp(maps, (0, self.threshold, 1), (0, 0.5, 1))
        boxes = self.in_boxes.detach().cpu().double().numpy()
        parts = [interpolate_map(m, box, rows, columns) for m, box in zip(centred, boxes, strict=True)]
        shape = (0, rows.stop - rows.start, columns.stop - columns.start)
        return torch.from_numpy(np.stack(parts)) if parts else torch.zeros(shape)

    def rle(self) -> list[Rle]:
        """See `Masks.rle`. Converts some masks at a time, so memory does not grow with their number."""
        if not cpu_path.uses_cpu_path(self.probabilities):
            return encode_starts([self.run_starts()], [self.size])[0]
        return [encode(self.select(torch.tensor([i])).pixels()[0].numpy()) for i in range(len(self))]

    def run_starts(self) -> Tensor:
        """See `rle_together.run_starts`; on the device of the maps, with all their pixels at no time."""
        parts = pasted_parts(self.probabilities, self._boxes_there(), self.size, self.threshold, self.rule)
        return torch.cat([run_starts(pixels) for pixels in parts])

    def _boxes_there(self) -> Tensor:
        return self.in_boxes.detach().to(self.probabilities.device, non_blocking=True)


@dataclass(frozen=True)
class MapMasks:
    """Masks as one map of probabilities each, which covers the whole photo and is 0 far from its object.

    A pixel belongs to the mask if its interpolated probability is above the threshold. On a CPU only pixels near cells
    that are not 0 are computed.

    Attributes:
        probabilities: `[N, h, w]` float in 0..1. Pixels are computed on their device.
        in_boxes: `[N, 4]` float, x1 y1 x2 y2 in pixels of the photo; on any device.
        size: height and width of the photo.
        threshold: probability above which a pixel belongs to the mask.
        region: top, left, height and width of the photo on the maps, in fractions of their sides.
    """

    probabilities: Tensor
    in_boxes: Tensor
    size: tuple[int, int]
    threshold: float = 0.5
    region: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)

    def __len__(self) -> int:
        return len(self.in_boxes)

    def select(self, positions: Tensor) -> "MapMasks":
        """See `Masks.select`."""
        probabilities = self.probabilities[positions.to(self.probabilities.device)]
        return replace(self, probabilities=probabilities, in_boxes=self.in_boxes[positions.to(self.in_boxes.device)])

    def boxes(self) -> Tensor:
        """See `Masks.boxes`."""
        return self.in_boxes

    def pixels(self) -> Tensor:
        """See `Masks.pixels`."""
        if not cpu_path.uses_cpu_path(self.probabilities):
            return torch.cat(list(self._pixel_parts()))
        canvas = torch.zeros((len(self), *self.size), dtype=torch.bool)
        for mask, (rows, columns, values) in zip(canvas, self._near_objects(*self._taps()), strict=True):
            mask[rows, columns] = values > self.threshold
        return canvas

    def soft(self, rows: slice | None = None, columns: slice | None = None) -> Tensor:
        """See `Masks.soft`. It is above 0.5 at the pixels of the mask, and only there."""
        down, across = self._taps()
        down, across = down.part(rows or slice(None)), across.part(columns or slice(None))
        if not cpu_path.uses_cpu_path(self.probabilities):
            return self._centred(sample_maps(self.probabilities.detach(), down, across))
        canvas = torch.zeros((len(self), len(down.share), len(across.share)))
        for mask, (here, there, values) in zip(canvas, self._near_objects(down, across), strict=True):
            mask[here, there] = self._centred(values)
        return canvas

    def rle(self) -> list[Rle]:
        """See `Masks.rle`. Converts some masks at a time, so memory does not grow with their number."""
        if not cpu_path.uses_cpu_path(self.probabilities):
            return encode_starts([self.run_starts()], [self.size])[0]
        return [encode(self.select(torch.tensor([i])).pixels()[0].numpy()) for i in range(len(self))]

    def run_starts(self) -> Tensor:
        """See `rle_together.run_starts`; on the device of the maps, with all their pixels at no time."""
        return torch.cat([run_starts(pixels) for pixels in self._pixel_parts()])

    def _taps(self) -> tuple[AxisTaps, AxisTaps]:
        """The cells that rows and columns of the photo are sums of."""
        top, left, height, width = self.region
        (high, wide), device = self.probabilities.shape[1:], self.probabilities.device
        return axis_taps(self.size[0], high, top, height, device), axis_taps(self.size[1], wide, left, width, device)

    def _pixel_parts(self) -> Iterator[Tensor]:
        """All pixels, some masks at a time: `[n, H, W]` bool; at least once."""
        maps, taps = self.probabilities.detach(), self._taps()
        step = max(_CHUNK // (self.size[0] * self.size[1]), 1)
        for first in range(0, max(len(self), 1), step):
            yield sample_maps(maps[first : first + step], *taps) > self.threshold

    def _near_objects(self, down: AxisTaps, across: AxisTaps) -> Iterator[tuple[slice, slice, Tensor]]:
        """For each mask rows and columns outside of which it is 0, as positions in the taps, and the values there."""
        for probability in self.probabilities.detach():
            cells = probability > 0
            rows, columns = (torch.where(cells.any(dim=axis))[0] for axis in (1, 0))
            if not len(rows):
                yield slice(0, 0), slice(0, 0), probability.new_zeros((0, 0))
                continue
            here = down.touching(int(rows[0]), int(rows[-1]))
            there = across.touching(int(columns[0]), int(columns[-1]))
            yield here, there, sample_maps(probability[None], down.part(here), across.part(there))[0]

    def _centred(self, values: Tensor) -> Tensor:
        """Probabilities as certainties, which have the edge at 0.5."""
        if self.threshold == 0.5:
            return values
        low, high = max(self.threshold, 1e-6), max(1 - self.threshold, 1e-6)
        return torch.where(values <= self.threshold, values / low / 2, 1 - (1 - values) / high / 2)


def encode_photos(masks: Sequence[Masks]) -> list[list[Rle]]:
    """The run-length encodings of several photos, as `rle()` of each; a GPU is waited for twice, not for each photo."""
    together = [m for m in masks if has_gpu_maps(m)]
    encoded = iter(encode_starts([m.run_starts() for m in together], [m.size for m in together]) if together else [])
    return [next(encoded) if has_gpu_maps(m) else m.rle() for m in masks]


def has_gpu_maps(masks: Masks) -> TypeGuard[BoxMasks | MapMasks]:
    """Whether masks are small maps on a GPU, which turns those of several photos into run lengths at once."""
    return isinstance(masks, BoxMasks | MapMasks) and not cpu_path.uses_cpu_path(masks.probabilities)
