"""Refines a network's coarse mask to an alpha that follows the photo's edges, and removes background from the colours.

Everything works on a crop around one instance. The time depends on the garment's size, not on the photo's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from clothseg.garments.grabcut import cut_grabcut
from clothseg.garments.large import LARGE_CROP, enlarge_rows, strips
from clothseg.garments.regions import cut_regions
from clothseg.instances import ArrayMasks, one_mask, to_array
from clothseg.photos import RgbImage

if TYPE_CHECKING:  # it needs torch
    from clothseg.instances import Masks

Plane = NDArray[np.float32]
Edges = Literal["regions", "grabcut"]
"""How the edge is moved to the photo's edges: see `refine`."""

_COARSE_SIDE = 320
"""Garments with a larger `SoftMask.side` (pixels) are cut on a coarser grid."""
_LARGEST_GRID = 4
"""The side of the largest grid, relative to that of the mask on it. Only parts that lie far apart need a larger one."""
_MIN_CONTRAST_GAIN = 1.05
"""A new edge replaces the network's if its colour contrast is higher by this factor."""
_EPSILON = 1e-4
"""Alpha does not follow colours whose variance (of 0..1) is below this."""
_HAZE = 0.05
"""Alpha this close to 0 or 1 becomes 0 or 1. The filter leaves such values where colours are not quite even."""
_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


@dataclass(frozen=True)
class SoftMask:
    """The certainty of each pixel of a crop to belong to the garment. Outside the crop it is 0.

    Attributes:
        rows: the rows of the photo in the crop.
        columns: the columns of the photo in the crop.
        values: `[h, w]` float32 in 0..1. The edge of the mask is at 0.5.
    """

    rows: slice
    columns: slice
    values: Plane

    @property
    def side(self) -> float:
        """The side in pixels of a square with the mask's area. Widths and distances are relative to it."""
        return float(np.sqrt(np.count_nonzero(self.values > 0.5)))


def soft_mask(masks: "Masks | ArrayMasks", position: int, margin: float = 0.15) -> SoftMask | None:
    """The mask at `position`, on a crop with a margin for an edge that moves. None for an empty mask.

    Args:
        masks: the masks of one photo.
        position: the index of the mask.
        margin: on each side, as a part of the longer side of the mask's box.
    """
    one = one_mask(masks, position)
    x1, y1, x2, y2 = one.boxes()[0].tolist()
    if x2 <= x1 or y2 <= y1:
        return None
    height, width = masks.size
    border = int(margin * max(x2 - x1, y2 - y1)) + 4
    left, top = max(int(x1) - border, 0), max(int(y1) - border, 0)
    right, bottom = min(math.ceil(x2) + border, width), min(math.ceil(y2) + border, height)
    rows, columns = slice(top, max(bottom, top)), slice(left, max(right, left))
    values = np.asarray(to_array(one.soft(rows, columns))[0], dtype=np.float32)
    return SoftMask(rows, columns, values) if (values > 0.5).any() else None


def refine(
    photo: RgbImage, soft: SoftMask, band: float = 0.06, feather: float = 0.01, *, edges: Edges = "regions"
) -> Plane:
    """Alpha of a garment whose edge is moved to the photo's edges.

    First, a new edge is found where colours inside and outside differ most, on a grid of a few hundred pixels. With
    `regions` it follows the borders of small regions of even colour, anywhere on the crop where the network is not
    certain. With `grabcut` it stays within a band along the network's edge. Then alpha follows the photo's colours at
    full resolution.

    Args:
        photo: `[H, W, 3]` uint8, the whole photo.
        soft: the network's mask on a crop of it.
        band: with `grabcut`, how far the edge may move in each direction, as a part of the garment's `side`.
        feather: radius of the windows in which alpha follows colour, as a part of the garment's `side`.
        edges: the way to find the new edge.

    Returns:
        `[h, w]` float32 in 0..1.
    """
    part = photo[soft.rows, soft.columns]
    cut = move_edge(part, soft, band, edges)
    radius = max(feather * soft.side, 1.5)
    if cut.size > LARGE_CROP:
        return _large_alpha(part, cut, radius)
    return _without_haze(guided(part.astype(np.float32) / np.float32(255), cut, radius, _EPSILON))


def _large_alpha(part: RgbImage, cut: Plane, radius: float) -> Plane:
    """`guided` without haze, of a large crop."""
    size, small = cut.shape, _filter_grid(cut.shape, radius)
    guide = np.asarray(cv2.resize(part, small[:2], interpolation=cv2.INTER_AREA), dtype=np.float32) / np.float32(255)
    slopes, offset = _linear(guide, _resize(cut, small[:2]), small[2], _EPSILON)
    for rows in strips(*size):
        colours = part[rows].astype(np.float32) / np.float32(255)
        fit = np.einsum("ijk,ijk->ij", enlarge_rows(slopes, rows, size), colours) + enlarge_rows(offset, rows, size)
        cut[rows] = _without_haze(fit)
    return cut


def _without_haze(alpha: Plane) -> Plane:
    return np.asarray(np.clip((alpha - _HAZE) / (1 - 2 * _HAZE), 0, 1), dtype=np.float32)


def move_edge(
    part: RgbImage, soft: SoftMask, band: float = 0.06, edges: Edges = "regions", *, coarse_side: int = _COARSE_SIDE
) -> Plane:
    """Moves the edge on a coarse grid: `[h, w]` in 0..1, with the edge at 0.5; the first step of `refine`.

    Args:
        part: the photo's pixels on the crop of `soft`.
        soft, band, edges: see `refine`.
        coarse_side: masks with a larger `SoftMask.side` are cut on a coarser grid.
    """
    scale = min(coarse_side / soft.side, _LARGEST_GRID * coarse_side / math.sqrt(soft.values.size), 1.0)
    size = max(round(part.shape[1] * scale), 1), max(round(part.shape[0] * scale), 1)
    values = _resize(soft.values, size)
    colours = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    cut = cut_regions(colours, values) if edges == "regions" else cut_grabcut(colours, values, band * soft.side * scale)
    if _contrast(colours, cut) < _MIN_CONTRAST_GAIN * _contrast(colours, values > 0.5) + 1.0:
        return (soft.values > 0.5).astype(np.float32)  # inside and outside have similar colours: the cut is a guess
    return _resize(cut.astype(np.float32), (part.shape[1], part.shape[0]))


def _contrast(colours: RgbImage, mask: NDArray[np.bool_]) -> float:
    """The mean change of colours (0..255) across the edge of a mask. 0 without an edge."""
    inside = mask.astype(np.uint8)
    edge = inside != cv2.erode(inside, np.ones((3, 3), np.uint8))
    change = cv2.morphologyEx(colours, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return float(change[edge].mean()) if edge.any() else 0.0


def _resize(values: Plane, size: tuple[int, int]) -> Plane:
    """Resizes to `size` (width, height, in OpenCV's order)."""
    interpolation = cv2.INTER_AREA if size[0] < values.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, size, interpolation=interpolation), dtype=np.float32)


def guided(guide: Plane, values: Plane, radius: float, epsilon: float) -> Plane:
    """Guided filter: fits `values` `[h, w]` by a linear function of the colours in each window of `guide` `[h, w, 3]`.

    The functions are computed on a grid that is coarser for larger windows, and applied at every pixel. Sources:
    K. He, J. Sun, X. Tang: Guided Image Filtering (2013); K. He, J. Sun: Fast Guided Filter (2015).
    """
    height, width = values.shape
    across, down, reach = _filter_grid(values.shape, radius)
    small = across, down
    parts = _linear(_resize(guide, small), _resize(values, small), reach, epsilon)
    slopes, offset = (_resize(part, (width, height)) for part in parts)
    return np.asarray(np.einsum("ijk,ijk->ij", slopes, guide) + offset, dtype=np.float32)


def _filter_grid(size: tuple[int, ...], radius: float) -> tuple[int, int, int]:
    """Width and height of the grid on which the filter is computed, and the radius of its windows there."""
    step = max(radius / 6, 1.0)
    return max(round(size[1] / step), 1), max(round(size[0] / step), 1), max(round(radius / step), 1)


def _linear(guide: Plane, values: Plane, radius: int, epsilon: float) -> tuple[Plane, Plane]:
    """Slopes `[h, w, 3]` and offsets `[h, w]`, averaged over all windows that contain the pixel."""

    def mean(part: Plane) -> Plane:
        side = 2 * radius + 1
        return np.asarray(cv2.boxFilter(part, -1, (side, side), borderType=cv2.BORDER_REFLECT), dtype=np.float32)

    colour, level = mean(guide), mean(values)
    shared = mean(guide * values[..., None]) - colour * level[..., None]
    spread = [
        mean(guide[..., i] * guide[..., j]) - colour[..., i] * colour[..., j] + (epsilon if i == j else 0)
        for i, j in _PAIRS
    ]
    slopes = _solve(spread, shared)
    offset = level - np.einsum("ijk,ijk->ij", slopes, colour)
    return mean(slopes), mean(offset)


def _solve(spread: Sequence[NDArray[np.floating[Any]]], shared: Plane) -> Plane:
    """Solves a symmetric system of three equations at each pixel, by cofactors: `[h, w, 3]`.

    Args:
        spread: the entries `_PAIRS` of the matrix, each `[h, w]`.
        shared: the right-hand side `[h, w, 3]`.
    """
    a, b, c, d, e, f = (np.asarray(part, dtype=np.float64) for part in spread)
    xx, xy, xz, yy, yz, zz = d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b
    x, y, z = np.moveaxis(shared, -1, 0)
    sides = xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z
    return np.asarray(np.stack(sides, axis=-1) / (a * xx + b * xy + c * xz)[..., None], dtype=np.float32)
