"""Samples of maps at the pixels of a photo, with NumPy: small maps in boxes, and maps over the whole photo."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Weights = NDArray[np.float32] | NDArray[np.float64]


def cell_weights(places: NDArray[np.floating], cells: int, *, repeat_edges: bool) -> Weights:
    """`[P, cells]`: the weight of each cell at places in cells, the centre of the first being 0.

    Between centres it is linear. Beyond the first and the last centre the edge cells repeat, or zeros follow.
    """
    if repeat_edges:
        places = places.clip(0, cells - 1)
    distance = np.abs(places[:, None] - np.arange(cells, dtype=places.dtype))
    weights: Weights = np.maximum(1 - distance, 0)
    return weights


def interpolate_map(
    values: NDArray[np.float64], box: NDArray[np.float64], rows: slice, columns: slice
) -> NDArray[np.float32]:
    """Samples a map in a box at pixel centres: linear between cell centres, 0 from one cell outside the box.

    Args:
        values: the map, `[M, M]`.
        box: `[4]` x1 y1 x2 y2 in pixels.
        rows: of the pixels, a slice of length h.
        columns: of the pixels, a slice of length w.

    Returns:
        `[h, w]` float32.
    """
    padded = np.pad(values, 1)
    down = _linear_weights(np.arange(rows.start, rows.stop) + 0.5, box[1], box[3], len(padded))
    across = _linear_weights(np.arange(columns.start, columns.stop) + 0.5, box[0], box[2], len(padded))
    return (down @ padded @ across.T).astype(np.float32)


def _linear_weights(positions: NDArray[np.float64], low: float, high: float, cells: int) -> NDArray[np.float64]:
    """`[len(positions), cells]`: the weight of each cell of a padded map from `low` to `high` at each position."""
    cell = (positions - low) / max(high - low, 1e-6) * (cells - 2) + 0.5
    distance = np.abs(cell[:, None] - np.arange(cells)[None])
    return np.where((cell[:, None] < 0) | (cell[:, None] > cells - 1), 0.0, np.clip(1 - distance, 0, 1))


@dataclass(frozen=True)
class PixelTaps:
    """What the pixels along one axis are sums of; see `AxisTaps`, which is the same with torch.

    Attributes:
        before, after: `[P]` int64, cells of the map, rising.
        share: `[P]` in 0..1, the weight of `after`.
    """

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    share: NDArray[np.floating]

    def part(self, pixels: slice) -> "PixelTaps":
        """Those of some pixels."""
        return PixelTaps(self.before[pixels], self.after[pixels], self.share[pixels])

    def touching(self, first: int, last: int) -> slice:
        """The pixels that depend on any of the cells from `first` to `last`."""
        start = int(np.searchsorted(self.after, first))
        return slice(start, max(start, int(np.searchsorted(self.before, last, side="right"))))


def pixel_taps(
    size: tuple[int, int], cells: Sequence[int], region: tuple[float, float, float, float], dtype: DTypeLike
) -> tuple[PixelTaps, PixelTaps]:
    """The taps of the rows and of the columns of a photo; edge cells repeat beyond the edges.

    Args:
        size: height and width of the photo.
        cells: height and width of the map.
        region: top, left, height and width of the photo on the map, in fractions of its sides.
        dtype: of the weights.
    """
    taps = []
    for side, count, first, extent in zip(size, cells, region[:2], region[2:], strict=True):
        centres = (np.arange(side) + 0.5) / side
        place = ((first + centres * extent) * count - 0.5).clip(0, count - 1)
        before = np.floor(place).astype(np.int64)
        taps.append(PixelTaps(before, (before + 1).clip(max=count - 1), (place - before).astype(dtype)))
    return taps[0], taps[1]


def sample(values: NDArray[Any], y: PixelTaps, x: PixelTaps) -> NDArray[Any]:
    """`[P, Q]` from a map `[h, w]` at the pixels of `y` and `x`, in the type of the map."""
    lines = _blend(values[y.before], values[y.after], y.share[:, None])
    return _blend(lines[:, x.before], lines[:, x.after], x.share)


def _blend(before: NDArray[Any], after: NDArray[Any], share: NDArray[Any]) -> NDArray[Any]:
    after -= before
    after *= share
    after += before
    return after
