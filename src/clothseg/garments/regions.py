"""Moves a coarse edge to the borders of small regions of even colour, by a minimum cut of the graph of these regions.

A region is a few dozen pixels. It is garment or background as a whole, and three things speak for one or the other: the
network's mask, the colours that garment and background have on this photo, and its neighbours: two regions that differ
little in colour stay together. The best answer to all three is a minimum cut, which is exact and takes hundredths of a
second, because there are only some thousand regions.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from clothseg.photos import RgbImage

Plane = NDArray[np.float32]
Numbers = NDArray[np.int32]

_CELL = 5
"""A region grows from the evenest pixel of each square of this side, in pixels."""
_ROUNDS = 2
"""The first cut improves the colours from which the second one is made."""
_MASK_WEIGHT = 0.5
_MASK_LIMIT = 3.0
_COLOUR_WEIGHT = 0.7
_COLOUR_LIMIT = 3.0
"""Log odds are limited, so that no single pixel outweighs a neighbourhood."""
_BINS = 32
"""Colours are counted in so many bins for each channel of Lab."""
_UNSEEN = 1e-5
"""The share of a colour that was never seen."""
EDGE_WEIGHT = 15.0
MEAN_CHANGE = 9.0
"""Regions whose mean colours differ by much more than this (Lab, 0..255) are separated without cost."""
_SMOOTHING = 5
"""Side of the windows, in pixels, of a median that makes ragged borders of regions smooth."""
_STEPS = 100
"""Capacities are whole numbers: one unit of log odds has so many steps."""
_NEIGHBOURS = ((0, 1), (2, 1), (1, 0), (1, 2), (0, 0), (0, 2), (2, 0), (2, 2))
"""Row and column of the 8 neighbours of a pixel, on a picture padded by 1."""


@dataclass(frozen=True)
class Borders:
    """Borders between regions: region `one`, region `other`, and what it costs to cut between them, each `[E]`."""

    one: NDArray[np.int64]
    other: NDArray[np.int64]
    cost: NDArray[np.float64]


def cut_regions(colours: RgbImage, certainty: Plane) -> NDArray[np.bool_]:
    """The garment as a set of regions: `[h, w]` bool.

    Args:
        colours: `[h, w, 3]` uint8 RGB, a crop around the garment, a few hundred pixels long.
        certainty: `[h, w]` float32 in 0..1, that a pixel belongs to the garment.

    Source: Y. Boykov, V. Kolmogorov: An Experimental Comparison of Min-Cut/Max-Flow Algorithms (2004), with regions for
    pixels as in Y. Li and others: Lazy Snapping (2004). The maximum flow is SciPy's.
    """
    lab = np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2LAB), dtype=np.uint8)
    regions = find_regions(colours)
    borders = find_borders(regions, lab)
    mask_odds = _MASK_WEIGHT * _log_odds(certainty)
    bins = _colour_bins(lab)
    belief, inside = certainty, certainty > 0.5
    for _ in range(_ROUNDS):
        odds = mask_odds + _COLOUR_WEIGHT * _colour_odds(bins, belief)
        cut = minimum_cut(np.bincount(regions.ravel(), weights=odds.ravel()).astype(np.float64), borders)[regions]
        if not cut.any():
            break
        inside = cut
        belief = np.asarray((certainty + inside) / 2, dtype=np.float32)
    return np.asarray(cv2.medianBlur(inside.astype(np.uint8), _SMOOTHING) > 0, dtype=np.bool_)


def _log_odds(certainty: Plane) -> NDArray[np.float64]:
    """The log odds of the network, limited."""
    p = np.clip(certainty.astype(np.float64), 1e-3, 1 - 1e-3)
    return np.asarray(np.clip(np.log(p / (1 - p)), -_MASK_LIMIT, _MASK_LIMIT), dtype=np.float64)


def find_regions(colours: RgbImage) -> Numbers:
    """Divides a picture into regions of even colour: `[h, w]` int32, numbered from 0 without gaps.

    Source: F. Meyer: Color Image Segmentation (1992), the watershed of OpenCV.
    """
    framed = cv2.copyMakeBorder(colours, 1, 1, 1, 1, cv2.BORDER_REPLICATE)  # the watershed leaves the frame out
    numbers = np.zeros(framed.shape[:2], np.int32)
    ys, xs = _evenest(colours)
    numbers[ys + 1, xs + 1] = np.arange(1, len(ys) + 1)
    numbers = np.asarray(cv2.watershed(framed, numbers), dtype=np.int32)[1:-1, 1:-1]
    while (open_ := numbers <= 0).any():  # lines between regions: each pixel joins the neighbour of the nearest colour
        numbers = _join_nearest(numbers, colours.astype(np.int32), open_)
    used = np.bincount(numbers.ravel()) > 0
    return (np.cumsum(used, dtype=np.int32) - 1)[numbers]


def _evenest(colours: RgbImage) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row and column of the pixel with the smallest change of colour, in each square of a grid."""
    smooth = cv2.GaussianBlur(colours, (3, 3), 0)
    change = cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    change = np.maximum(np.maximum(change[..., 0], change[..., 1]), change[..., 2])
    height, width = change.shape
    tall, wide = min(_CELL, height), min(_CELL, width)
    down, across = height // tall, width // wide
    squares = change[: down * tall, : across * wide].reshape(down, tall, across, wide).swapaxes(1, 2)
    place = squares.reshape(down, across, -1).argmin(axis=-1)
    ys = np.arange(down)[:, None] * tall + place // wide
    xs = np.arange(across)[None] * wide + place % wide
    return ys.ravel(), xs.ravel()


def _join_nearest(numbers: Numbers, colours: Numbers, open_: NDArray[np.bool_]) -> Numbers:
    """Gives each open pixel the number of the neighbour with the most similar colour, if a neighbour has one."""
    around, colours_around = np.pad(numbers, 1), np.pad(colours, ((1, 1), (1, 1), (0, 0))).reshape(-1, 3)
    flat, width = around.ravel(), around.shape[1]
    ys, xs = np.nonzero(open_)
    here = (ys + 1) * width + xs + 1
    joined, best = numbers[ys, xs], np.full(len(here), np.iinfo(np.int32).max)
    own = colours_around.take(here, axis=0)
    for y, x in _NEIGHBOURS:
        near = here + (y - 1) * width + x - 1
        difference, number = _squares(colours_around.take(near, axis=0) - own), flat.take(near)
        better = (number > 0) & (difference < best)
        best[better], joined[better] = difference[better], number[better]
    answer = numbers.copy()
    answer[ys, xs] = joined
    return answer


def _squares(differences: NDArray[Any]) -> NDArray[Any]:
    """The sums of the squares along the last axis; many times as fast as `sum` where that is short."""
    return np.asarray(np.einsum("...k,...k->...", differences, differences))


def find_borders(regions: Numbers, lab: RgbImage) -> Borders:
    """The borders of all regions. Two terms have equal weight: the change of colour from pixel to pixel, relative to
    the mean change on the crop, and the difference of the regions' mean colours.
    """
    from scipy.sparse import csr_array  # noqa: PLC0415 - SciPy takes long to import; most commands do not need it

    count = int(regions.max()) + 1
    total, pixels = 0.0, 0
    lows, highs, lengths, changes = [], [], [], []
    width = regions.shape[1] + 1
    flat = np.pad(regions, ((0, 0), (0, 1)), constant_values=-1).ravel()  # -1 between the end of a row and the next
    colours = np.pad(lab, ((0, 0), (0, 1), (0, 0))).reshape(-1, 3).astype(np.int32)
    for near, far, away, step in (
        (np.s_[:, :-1], np.s_[:, 1:], 1, 1.0),
        (np.s_[:-1], np.s_[1:], width, 1.0),
        (np.s_[:-1, :-1], np.s_[1:, 1:], width + 1, 0.5**0.5),
        (np.s_[:-1, 1:], np.s_[1:, :-1], width - 1, 0.5**0.5),
    ):
        if lab[near].size:
            total, pixels = total + cv2.norm(lab[near], lab[far], cv2.NORM_L2SQR), pixels + lab[near].size // 3
        here = np.flatnonzero(flat[:-away] != flat[away:])
        one, other = flat.take(here), flat.take(here + away)
        inside = (one >= 0) & (other >= 0)
        here, one, other = here[inside], one[inside], other[inside]
        lows.append(np.minimum(one, other))
        highs.append(np.maximum(one, other))
        changes.append(_squares(colours.take(here, axis=0) - colours.take(here + away, axis=0)))
        lengths.append(np.full(len(here), step))
    usual = 2 * total / pixels + 1e-6 if pixels else 1.0
    ends = np.concatenate(lows), np.concatenate(highs)
    length, change = np.concatenate(lengths), np.concatenate(changes)
    whole = csr_array((length, ends), shape=(count, count))
    local = csr_array((length * np.exp(-change / usual), ends), shape=(count, count))
    for sums in (whole, local):
        sums.sum_duplicates()
    low, high = whole.nonzero()
    means = _means(regions, lab)
    apart = _squares(means[low] - means[high])
    cost = EDGE_WEIGHT / 2 * (local.data + whole.data * np.exp(-apart / (2 * MEAN_CHANGE**2)))
    return Borders(low.astype(np.int64), high.astype(np.int64), np.asarray(cost, dtype=np.float64))


def _means(regions: Numbers, colours: RgbImage) -> NDArray[np.float64]:
    """The mean colour of each region, `[R, 3]`."""
    areas = np.bincount(regions.ravel())
    sums = [np.bincount(regions.ravel(), weights=colours[..., channel].ravel()) for channel in range(3)]
    return np.stack(sums, axis=1) / areas[:, None]


def _colour_bins(lab: RgbImage) -> NDArray[np.intp]:
    """The number of each pixel's bin of colours, `[h, w]`."""
    steps = lab.astype(np.intp) * _BINS // 256
    return (steps[..., 0] * _BINS + steps[..., 1]) * _BINS + steps[..., 2]


def _colour_odds(bins: NDArray[np.intp], belief: Plane) -> NDArray[np.float64]:
    """The log odds `[h, w]` that a pixel of this colour is garment: from counts of colours, weighted by `belief`."""
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415 - as above

    shares = []
    for weights in (belief, 1 - belief):
        counts = np.bincount(bins.ravel(), weights=weights.ravel(), minlength=_BINS**3).reshape((_BINS,) * 3)
        smooth = gaussian_filter(counts, 1.0)
        shares.append(smooth.ravel() / max(float(smooth.sum()), 1e-6))
    odds = np.log((shares[0] + _UNSEEN) / (shares[1] + _UNSEEN))
    return np.asarray(np.clip(odds, -_COLOUR_LIMIT, _COLOUR_LIMIT), dtype=np.float64)[bins]


def minimum_cut(odds: NDArray[np.float64], borders: Borders) -> NDArray[np.bool_]:
    """The regions on the garment's side of the minimum cut, `[R]`. Positive `odds` `[R]` speak for the garment."""
    from scipy.sparse import csr_array  # noqa: PLC0415 - as above
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow  # noqa: PLC0415

    count = len(odds)
    source, sink = count, count + 1
    gain, cost = np.rint(odds * _STEPS).astype(np.int32), np.rint(borders.cost * _STEPS).astype(np.int32)
    garment, other = np.flatnonzero(gain > 0), np.flatnonzero(gain < 0)
    rows = np.concatenate([np.full(len(garment), source), other, borders.one, borders.other])
    columns = np.concatenate([garment, np.full(len(other), sink), borders.other, borders.one])
    capacity = csr_array(
        (np.concatenate([gain[garment], -gain[other], cost, cost]), (rows, columns)),
        shape=(count + 2, count + 2),
        dtype=np.int32,
    )
    left = capacity - maximum_flow(capacity, source, sink).flow
    left.eliminate_zeros()
    reached = np.zeros(count + 2, dtype=np.bool_)
    reached[breadth_first_order(left, source, return_predecessors=False)] = True
    return reached[:count]
