"""The masks of one photo as NumPy arrays: maps in boxes, maps over the photo, or a grid of labels.

They are what `BoxMasks`, `MapMasks` and `LabelMasks` are with torch, up to the last digits, for programs that run
without it. Pixels are computed on demand, only near the objects.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from clothseg.instances.map_samples import (
    PixelTaps,
    Weights,
    cell_weights,
    interpolate_map,
    pixel_taps,
    sample,
)
from clothseg.instances.rle import BoolMask, Rle, encode

if TYPE_CHECKING:  # it needs torch
    from clothseg.instances.mask_paste import PasteRule

Plane = NDArray[np.float32]
Region = tuple[float, float, float, float]
"""Top, left, height and width of the photo on maps, in fractions of their sides."""


@dataclass(frozen=True)
class ArrayMasks(ABC):
    """N masks of one photo; see `Masks`, whose methods these are, with arrays for tensors.

    Attributes:
        in_boxes: `[N, 4]` float32, x1 y1 x2 y2 in pixels of the photo.
        size: height and width of the photo.
    """

    in_boxes: Plane
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.in_boxes)

    @abstractmethod
    def select(self, positions: Sequence[int]) -> Self:
        """Selects masks by their positions, in that order."""

    @abstractmethod
    def crop(self, position: int) -> tuple[slice, slice, BoolMask]:
        """Rows and columns outside of which one mask is empty, and its pixels there."""

    @abstractmethod
    def soft(self, rows: slice | None = None, columns: slice | None = None) -> Plane:
        """See `Masks.soft`."""

    def boxes(self) -> Plane:
        """See `Masks.boxes`."""
        return self.in_boxes

    def pixels(self) -> NDArray[np.bool_]:
        """See `Masks.pixels`."""
        canvas = np.zeros((len(self), *self.size), dtype=np.bool_)
        for position, mask in enumerate(canvas):
            rows, columns, crop = self.crop(position)
            mask[rows, columns] = crop
        return canvas

    def rle(self) -> list[Rle]:
        """See `Masks.rle`."""
        return [encode(self.select([position]).pixels()[0]) for position in range(len(self))]

    def _window(self, rows: slice | None, columns: slice | None) -> tuple[slice, slice]:
        return rows or slice(0, self.size[0]), columns or slice(0, self.size[1])


@dataclass(frozen=True)
class BoxArrayMasks(ArrayMasks):
    """See `BoxMasks`: `probabilities` `[N, M, M]` float32 in boxes."""

    probabilities: Plane
    threshold: float = 0.5
    rule: "PasteRule" = "torchvision"

    def select(self, positions: Sequence[int]) -> Self:
        """See `ArrayMasks.select`."""
        here = list(positions)
        return replace(self, in_boxes=self.in_boxes[here], probabilities=self.probabilities[here])

    def crop(self, position: int) -> tuple[slice, slice, BoolMask]:
        """See `ArrayMasks.crop`; `paste` explains the rules."""
        box, cells = self.in_boxes[position], self.probabilities.shape[-1]
        place = {"torchvision": _torchvision, "detectron2": _detectron2, "matterport": _matterport}[self.rule]
        x, y = (place(box[axis], box[axis + 2], side, cells) for axis, side in ((0, self.size[1]), (1, self.size[0])))
        soft = y[1] @ self.probabilities[position].astype(y[1].dtype) @ x[1].T
        return y[0], x[0], soft > self.threshold if self.rule == "torchvision" else soft >= self.threshold

    def soft(self, rows: slice | None = None, columns: slice | None = None) -> Plane:
        """See `Masks.soft`; `rule` is not used."""
        window = self._window(rows, columns)
        centred = np.interp(self.probabilities, (0, self.threshold, 1), (0, 0.5, 1))
        pairs = zip(centred, self.in_boxes.astype(np.float64), strict=True)
        return _stack((interpolate_map(one, box, *window) for one, box in pairs), window)


Placed = tuple[slice, Weights]
"""The pixels along an axis that a map reaches, and the weights of its cells there."""


def _torchvision(low: np.float32, high: np.float32, side: int, cells: int) -> Placed:
    half, centre = (high - low) * np.float32(0.5) * np.float32((cells + 2) / cells), (high + low) * np.float32(0.5)
    start, stop = int(centre - half), int(centre + half) + 1
    extent = max(stop - start, 1)
    first = max(start, 0)
    pixels = slice(first, max(min(start + extent, side), first))
    number = np.arange(pixels.start, pixels.stop, dtype=np.float32) - np.float32(start)
    places = (number + np.float32(0.5)) * np.float32((cells + 2) / extent) - np.float32(0.5)
    return pixels, cell_weights(places, cells + 2, repeat_edges=True)[:, 1:-1]


def _detectron2(low: np.float32, high: np.float32, side: int, cells: int) -> Placed:
    first = max(math.floor(low), 0)
    pixels = slice(first, max(min(math.ceil(high), side), first))
    number = np.arange(pixels.start, pixels.stop, dtype=np.float32)
    places = (number + np.float32(0.5) - low) / (high - low) * np.float32(cells) - np.float32(0.5)
    return pixels, cell_weights(places, cells, repeat_edges=False)


def _matterport(low: np.float32, high: np.float32, side: int, cells: int) -> Placed:
    start, stop = round(float(low)), round(float(high))
    first = max(start, 0)
    pixels = slice(first, max(min(stop, side), first))
    number = np.arange(pixels.start, pixels.stop, dtype=np.float64) - start
    places = (number + 0.5) * (cells / max(stop - start, 1)) - 0.5
    return pixels, cell_weights(places, cells, repeat_edges=False)


@dataclass(frozen=True)
class MapArrayMasks(ArrayMasks):
    """See `MapMasks`: `probabilities` `[N, h, w]` float32 over the photo's `region` of the maps."""

    probabilities: Plane
    threshold: float = 0.5
    region: Region = (0.0, 0.0, 1.0, 1.0)

    def select(self, positions: Sequence[int]) -> Self:
        """See `ArrayMasks.select`."""
        here = list(positions)
        return replace(self, in_boxes=self.in_boxes[here], probabilities=self.probabilities[here])

    def crop(self, position: int) -> tuple[slice, slice, BoolMask]:
        """See `ArrayMasks.crop`."""
        one = self.probabilities[position]
        rows, columns, y, x = _near(one > 0, *self._taps())
        return rows, columns, sample(one, y, x) > self.threshold

    def soft(self, rows: slice | None = None, columns: slice | None = None) -> Plane:
        """See `Masks.soft`."""
        window = self._window(rows, columns)
        y, x = (taps.part(part) for taps, part in zip(self._taps(), window, strict=True))
        return _stack((self._centred(sample(one, y, x)) for one in self.probabilities), window)

    def _centred(self, values: Plane) -> Plane:
        """Probabilities as certainties, which have the edge at 0.5."""
        if self.threshold == 0.5:
            return values
        low, high = max(self.threshold, 1e-6), max(1 - self.threshold, 1e-6)
        return np.where(values <= self.threshold, values / low / 2, 1 - (1 - values) / high / 2).astype(np.float32)

    def _taps(self) -> tuple[PixelTaps, PixelTaps]:
        return pixel_taps(self.size, self.probabilities.shape[1:], self.region, np.float32)


@dataclass(frozen=True)
class LabelArrayMasks(ArrayMasks):
    """See `LabelMasks`: masks by their `numbers` `[N]` in `labels` `[h, w]`, with `probabilities` `[h, w]`."""

    labels: NDArray[np.integer]
    probabilities: Plane
    numbers: NDArray[np.int64]
    region: Region = (0.0, 0.0, 1.0, 1.0)

    def select(self, positions: Sequence[int]) -> Self:
        """See `ArrayMasks.select`."""
        here = list(positions)
        return replace(self, in_boxes=self.in_boxes[here], numbers=self.numbers[here])

    def crop(self, position: int) -> tuple[slice, slice, BoolMask]:
        """See `ArrayMasks.crop`."""
        cells = self.labels == self.numbers[position]
        rows, columns, y, x = _near(cells, *self._taps())
        return rows, columns, self._blend(cells, y, x) > 0.5

    def soft(self, rows: slice | None = None, columns: slice | None = None) -> Plane:
        """See `Masks.soft`."""
        window = self._window(rows, columns)
        y, x = (taps.part(part) for taps, part in zip(self._taps(), window, strict=True))
        return _stack((self._blend(self.labels == number, y, x) for number in self.numbers), window)

    def _blend(self, cells: NDArray[np.bool_], y: PixelTaps, x: PixelTaps) -> Plane:
        half = self.probabilities.astype(np.float64) / 2
        return sample(np.where(cells, 0.5 + half, 0.5 - half), y, x).astype(np.float32)

    def _taps(self) -> tuple[PixelTaps, PixelTaps]:
        return pixel_taps(self.size, self.labels.shape, self.region, np.float64)


def _near(cells: NDArray[np.bool_], y: PixelTaps, x: PixelTaps) -> tuple[slice, slice, PixelTaps, PixelTaps]:
    """The rows and columns of the photo that any of `cells` `[h, w]` touches, and their taps."""
    found = []
    for axis, taps in ((1, y), (0, x)):
        on = np.flatnonzero(cells.any(axis=axis))
        pixels = taps.touching(int(on[0]), int(on[-1])) if len(on) else slice(0, 0)
        found.append((pixels, taps.part(pixels)))
    (rows, down), (columns, across) = found
    return rows, columns, down, across


def _stack(planes: Iterable[Plane], window: tuple[slice, slice]) -> Plane:
    """Planes of a window as one array; `[0, h, w]` without any."""
    every = list(planes)
    rows, columns = window
    return np.stack(every) if every else np.zeros((0, rows.stop - rows.start, columns.stop - columns.start), np.float32)
