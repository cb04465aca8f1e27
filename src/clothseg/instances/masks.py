"""The masks of one photo, in five forms with one protocol.

`RleMasks` (as on disk), `PixelMasks` (all pixels of each mask), `BoxMasks` (a network's small maps in boxes),
`LabelMasks` (one grid of labels for the whole photo), and `MapMasks` of `map_masks.py` (one small map over the whole
photo for each mask). The last three compute pixels only on demand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeGuard

import numpy as np
import torch
from torch import Tensor

from clothseg import cpu_path
from clothseg.instances.bilinear import AxisTaps, axis_taps
from clothseg.instances.boxes import boxes_of_masks, from_xywh
from clothseg.instances.map_masks import MapMasks
from clothseg.instances.map_samples import interpolate_map
from clothseg.instances.mask_paste import PasteRule, paste
from clothseg.instances.paste_together import paste_together, pasted_parts, soft_together
from clothseg.instances.rle import Rle, decode, encode, tight_box
from clothseg.instances.rle_together import encode_starts, run_starts


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
            return encode_photos([self])[0]
        return [encode(self.select(torch.tensor([i])).pixels()[0].numpy()) for i in range(len(self))]

    def run_starts(self) -> Tensor:
        """See `rle_together.run_starts`; on the device of the maps, with all their pixels at no time."""
        parts = pasted_parts(self.probabilities, self._boxes_there(), self.size, self.threshold, self.rule)
        return torch.cat([run_starts(pixels) for pixels in parts])

    def _boxes_there(self) -> Tensor:
        return self.in_boxes.detach().to(self.probabilities.device, non_blocking=True)


def encode_photos(masks: Sequence[Masks]) -> list[list[Rle]]:
    """The run-length encodings of several photos, as `rle()` of each; a GPU is waited for twice, not for each photo."""
    together = [m for m in masks if has_gpu_maps(m)]
    encoded = iter(encode_starts([m.run_starts() for m in together], [m.size for m in together]) if together else [])
    return [next(encoded) if has_gpu_maps(m) else m.rle() for m in masks]


def has_gpu_maps(masks: Masks) -> TypeGuard[BoxMasks | MapMasks]:
    """Whether masks are small maps on a GPU, which turns those of several photos into run lengths at once."""
    return isinstance(masks, BoxMasks | MapMasks) and not cpu_path.uses_cpu_path(masks.probabilities)


@dataclass(frozen=True)
class LabelMasks:
    """Masks as one grid of labels for the whole photo. Masks do not overlap.

    Attributes:
        labels: `[h, w]` int64, the label of each cell of the grid.
        probabilities: `[h, w]` float in 0..1, the probability of each cell's label.
        numbers: `[N]` int64, the label of each mask.
        size: height and width of the photo.
        region: top, left, height and width of the photo on the grid, in fractions of the grid's sides.
    """

    labels: Tensor
    probabilities: Tensor
    numbers: Tensor
    size: tuple[int, int]
    region: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)

    def __len__(self) -> int:
        return len(self.numbers)

    def select(self, positions: Tensor) -> "LabelMasks":
        """See `Masks.select`."""
        return replace(self, numbers=self.numbers[positions.to(self.numbers.device)])

    def boxes(self) -> Tensor:
        """See `Masks.boxes`."""
        return torch.cat([torch.zeros((0, 4)), *(boxes_of_masks(mask[None]) for mask in self._each())])

    def pixels(self) -> Tensor:
        """See `Masks.pixels`."""
        return torch.stack(list(self._each())) if len(self) else torch.zeros((0, *self.size), dtype=torch.bool)

    def soft(self, rows: slice | None = None, columns: slice | None = None) -> Tensor:
        """See `Masks.soft`. A cell has 0.5 plus or minus half its probability. Between cells the value is linear.

        The sums are in double precision. So if two masks tie at a pixel, rounding cannot put it into both.
        """
        y, x = (taps.part(part or slice(None)) for taps, part in zip(self._taps(), (rows, columns), strict=True))
        labels, half = self.labels.cpu(), self.probabilities.cpu().double() / 2
        parts = [_blend(labels == number, half, y, x) for number in self.numbers.tolist()]
        return torch.stack(parts) if parts else torch.zeros((0, len(y.share), len(x.share)))

    def rle(self) -> list[Rle]:
        """See `Masks.rle`."""
        return [encode(mask.numpy()) for mask in self._each()]

    def _taps(self) -> tuple[AxisTaps, AxisTaps]:
        """Where the photo's pixels lie on the grid, along both axes."""
        (tall, wide), (top, left, height, width), cpu = self.labels.shape, self.region, torch.device("cpu")
        y = axis_taps(self.size[0], tall, top, height, cpu, torch.float64)
        return y, axis_taps(self.size[1], wide, left, width, cpu, torch.float64)

    def _each(self) -> Iterator[Tensor]:
        """The pixels of each mask in turn; computed only near its cells."""
        y, x = self._taps()
        labels, half = self.labels.cpu(), self.probabilities.cpu().double() / 2
        for number in self.numbers.tolist():
            mask, cells = torch.zeros(self.size, dtype=torch.bool), labels == number
            on_rows, on_columns = (torch.where(cells.any(axis))[0] for axis in (1, 0))
            if len(on_rows):
                rows, columns = (taps.touching(int(on[0]), int(on[-1])) for taps, on in ((y, on_rows), (x, on_columns)))
                mask[rows, columns] = _blend(cells, half, y.part(rows), x.part(columns)) > 0.5
            yield mask


def _blend(cells: Tensor, half: Tensor, y: AxisTaps, x: AxisTaps) -> Tensor:
    """0.5 plus `half` `[h, w]` in `cells` `[h, w]` bool, minus it elsewhere, at places between: `[P, Q]` float32."""
    values = torch.where(cells, 0.5 + half, 0.5 - half)
    lines = torch.lerp(values[y.before], values[y.after], y.share[:, None])
    return torch.lerp(lines[:, x.before], lines[:, x.after], x.share).float()
