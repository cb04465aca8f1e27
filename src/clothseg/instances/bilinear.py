"""Bilinear samples of maps that cover a whole picture: half-pixel centres, and edge cells that repeat beyond the edges.

The result is that of `torch.nn.functional.interpolate` with `align_corners=False`, up to rounding, for any part of the
picture and also if it covers only a region of the map.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class AxisTaps:
    """What the pixels along one axis are sums of: two cells each, the same for all maps.

    Attributes:
        before, after: `[P]` int64, cells of the map, rising.
        share: `[P]` float in 0..1, the weight of `after`.
    """

    before: Tensor
    after: Tensor
    share: Tensor

    def part(self, pixels: slice) -> "AxisTaps":
        """Those of some pixels."""
        return AxisTaps(self.before[pixels], self.after[pixels], self.share[pixels])

    def touching(self, first: int, last: int) -> slice:
        """The pixels that depend on any of the cells from `first` to `last`."""
        start = int(torch.searchsorted(self.after, first))
        return slice(start, max(start, int(torch.searchsorted(self.before, last, right=True))))


def axis_taps(
    side: int, cells: int, first: float, extent: float, device: torch.device, dtype: torch.dtype = torch.float32
) -> AxisTaps:
    """The taps of the pixels along an axis.

    Args:
        side: pixels of the picture.
        cells: of the map.
        first, extent: where the picture begins on the map, and how much of it it covers, in fractions of the map.
        device: of the answer.
        dtype: of the weights.
    """
    centres = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    place = ((first + centres * extent) * cells - 0.5).clamp(0, cells - 1)
    before = place.floor()
    taps = (before.long(), (before.long() + 1).clamp(max=cells - 1), (place - before).to(dtype))
    return AxisTaps(*(tap.to(device, non_blocking=True) for tap in taps))


def sample_maps(maps: Tensor, y: AxisTaps, x: AxisTaps) -> Tensor:
    """`[N, P, Q]` float32 from maps `[N, h, w]` of any type, at the pixels of `y` and `x`."""
    if 2 * len(y.before) < maps.shape[1]:  # few rows of many: only these
        above, below = (_blend_columns(maps[:, rows], x) for rows in (y.before, y.after))
    else:
        wide = _blend_columns(maps, x)
        above, below = wide[:, y.before], wide[:, y.after]
    return above.mul_((1 - y.share)[:, None]).add_(below.mul_(y.share[:, None]))


def _blend_columns(rows: Tensor, x: AxisTaps) -> Tensor:
    left, right = (rows[:, :, columns].float() for columns in (x.before, x.after))
    return left.mul_(1 - x.share).add_(right.mul_(x.share))
