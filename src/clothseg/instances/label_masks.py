"""Masks as one grid of labels for the whole photo."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from clothseg.instances.bilinear import AxisTaps, axis_taps
from clothseg.instances.boxes import boxes_of_masks
from clothseg.instances.rle import Rle, encode


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
