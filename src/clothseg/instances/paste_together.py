"""Pastes all small masks of a photo in a few steps of fixed shape, as a GPU needs it; `mask_paste.paste` does one.

A pixel of a mask lies between two rows and two columns of its map. These and their weights depend on the axis alone, so
each is found once for all pixels of a row or column. Around the map is a cell of zeros, and then one of -1, which
pixels take that the rule does not compute; -1 is below every threshold.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.instances.mask_paste import PasteRule

_CHUNK = 1 << 25  # pixels computed at once: four bytes each, some times over


@dataclass(frozen=True)
class Taps:
    """What the pixels along one axis of N masks are sums of.

    Attributes:
        before, after: `[N, side]` int64, cells of the padded map.
        share: `[N, side]` float in 0..1, the weight of `after`.
    """

    before: Tensor
    after: Tensor
    share: Tensor


def paste_together(
    probabilities: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float, rule: PasteRule
) -> Tensor:
    """Converts maps `[N, M, M]` in boxes `[N, 4]`, both on one device, to pixels `[N, H, W]` bool there.

    Up to rounding at the threshold, the answer is that of `paste` for each map.
    """
    parts = list(pasted_parts(probabilities, boxes, size, threshold, rule))
    return torch.cat(parts) if len(parts) != 1 else parts[0]


def pasted_parts(
    probabilities: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float, rule: PasteRule
) -> Iterator[Tensor]:
    """Yields what `paste_together` gives, some masks at a time: `[n, H, W]` bool; at least once."""
    above = torch.gt if rule == "torchvision" else torch.ge
    height, width = size
    padded = F.pad(F.pad(probabilities.detach().float(), (1, 1, 1, 1)), (0, 1, 0, 1), value=-1.0)
    cells, boxes = probabilities.shape[-1], boxes.detach().float()
    functions = {"torchvision": _torchvision_taps, "detectron2": _detectron2_taps, "matterport": _matterport_taps}
    x = functions[rule](boxes[:, 0], boxes[:, 2], width, cells)
    y = functions[rule](boxes[:, 1], boxes[:, 3], height, cells)
    step = max(_CHUNK // (height * width), 1)
    for first in range(0, max(len(boxes), 1), step):
        part = slice(first, first + step)
        across, down = (Taps(t.before[part], t.after[part], t.share[part]) for t in (x, y))
        yield above(_interpolate(padded[part], across, down), threshold)


def soft_together(probabilities: Tensor, boxes: Tensor, rows: slice, columns: slice, threshold: float) -> Tensor:
    """`[N, h, w]` float32 from maps `[N, M, M]` in boxes `[N, 4]`: up to rounding, what `BoxMasks.soft` says."""
    values = probabilities.float()
    if threshold != 0.5:
        below, above = values / threshold / 2, 1 - (1 - values) / (1 - threshold) / 2
        values = torch.where(values < threshold, below, above)
    x = _centre_taps(boxes[:, 0], boxes[:, 2], columns, values.shape[-1], whole=True)
    y = _centre_taps(boxes[:, 1], boxes[:, 3], rows, values.shape[-1], whole=True)
    return _interpolate(F.pad(values, (1, 2, 1, 2)), x, y)


def _interpolate(maps: Tensor, x: Taps, y: Taps) -> Tensor:
    """`[N, h, w]` from maps `[N, M, M]`, first along the rows, as `torch.nn.functional.interpolate` does."""
    count, cells = maps.shape[:2]
    left, right = (maps.gather(2, t[:, None].expand(-1, cells, -1)) for t in (x.before, x.after))
    wide = _blend(left, right, x.share[:, None])
    width = x.share.shape[1]
    above, below = (wide.gather(1, t[..., None].expand(count, -1, width)) for t in (y.before, y.after))
    return _blend(above, below, y.share[..., None])


def _blend(before: Tensor, after: Tensor, share: Tensor) -> Tensor:
    return before.mul_(1 - share).add_(after.mul_(share))


def _torchvision_taps(low: Tensor, high: Tensor, side: int, cells: int) -> Taps:
    grown = (cells + 2) / cells
    half, centre = (high - low) * 0.5 * grown, (high + low) * 0.5
    first, last = (centre - half).trunc()[:, None], (centre + half).trunc()[:, None]
    extent = (last - first + 1).clamp(min=1)
    pixel = torch.arange(side, device=low.device) - first
    place = ((pixel + 0.5) * ((cells + 2) / extent) - 0.5).clamp(0, cells + 1)
    return _taps(place, (pixel >= 0) & (pixel < extent), cells)


def _detectron2_taps(low: Tensor, high: Tensor, side: int, cells: int) -> Taps:
    return _centre_taps(low, high, slice(0, side), cells, whole=False)


def _centre_taps(low: Tensor, high: Tensor, pixels: slice, cells: int, *, whole: bool) -> Taps:
    """Taps at pixel centres. Inside are pixels that touch the box, or, for `whole`, up to a cell beyond it."""
    pixel = torch.arange(pixels.start, pixels.stop, device=low.device)[None]
    low, high = low[:, None], high[:, None]
    if whole:
        place = (pixel + 0.5 - low) / (high - low).clamp(min=1e-6) * cells + 0.5
        return _taps(place.clamp(0, cells + 1), (place >= 0) & (place <= cells + 1), cells)
    scaled = (pixel + 0.5 - low) / (high - low) * 2 - 1
    place = ((scaled + 1) * cells - 1) / 2 + 1
    return _taps(place.clamp(0, cells + 1), (pixel >= low.floor()) & (pixel < high.ceil()), cells)


def _matterport_taps(low: Tensor, high: Tensor, side: int, cells: int) -> Taps:
    low, high = low.round()[:, None], high.round()[:, None]
    extent = (high - low).clamp(min=1)
    pixel = torch.arange(side, device=low.device) - low
    place = (pixel + 0.5) * (cells / extent) - 0.5 + 1
    return _taps(place.clamp(0, cells + 1), (pixel >= 0) & (pixel < high - low), cells)


def _taps(place: Tensor, inside: Tensor, cells: int) -> Taps:
    """Taps at places `[N, side]` on a map with a cell of zeros around; all else takes the last cell, `cells + 2`."""
    before = place.nan_to_num().floor().clamp(max=cells)
    share = torch.where(inside, place - before, 0.0)
    index = torch.where(inside, before, cells + 2).long()
    return Taps(index, (index + 1).clamp(max=cells + 2), share)
