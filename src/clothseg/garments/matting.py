"""From a network's coarse mask to an alpha that follows the photo's own edges, and colours free of what is behind.

Everything works on a crop around one instance, so that cost grows with the garment and not with the photo.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from clothseg.instances import Masks
from clothseg.photos import RgbImage

Plane = NDArray[np.float32]

_COARSE_SIDE = 320
"""Side in pixels, in the sense of `SoftMask.side`, from which on a garment is cut on a coarser grid."""
_ROUNDS = 3
_CLEARER = 1.05
"""By what factor colours must change more across a new edge than across the network's for it to be taken."""
_EPSILON = 1e-4
"""Variance of colour (0..1) below which alpha does not follow it."""
_HAZE = 0.05
"""Alpha this near to 0 or 1 becomes 0 or 1: what the filter leaves where colours are not quite even."""
_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


@dataclass(frozen=True)
class SoftMask:
    """How sure a network is of each pixel of a crop; outside of the crop it is sure that there is no garment.

    Attributes:
        rows: of the photo.
        columns: of the photo.
        values: `[h, w]` float32 in 0..1; the edge of the mask is at 0.5.
    """

    rows: slice
    columns: slice
    values: Plane

    @property
    def side(self) -> float:
        """Side in pixels of a square with the area of the mask: what widths and distances are relative to."""
        return float(np.sqrt(np.count_nonzero(self.values > 0.5)))


def soft_mask(masks: Masks, position: int, margin: float = 0.15) -> SoftMask | None:
    """The mask at `position` on a crop with room for an edge that moves; None where it has no pixel.

    Args:
        masks: of one photo.
        position: of the mask among them.
        margin: room on each side, as a part of the longer side of the mask's box.
    """
    one = masks.select(torch.tensor([position]))
    x1, y1, x2, y2 = one.boxes()[0].double().tolist()
    if x2 <= x1 or y2 <= y1:
        return None
    height, width = masks.size
    room = int(margin * max(x2 - x1, y2 - y1)) + 4
    left, top = max(int(x1) - room, 0), max(int(y1) - room, 0)
    right, bottom = min(math.ceil(x2) + room, width), min(math.ceil(y2) + room, height)
    rows, columns = slice(top, max(bottom, top)), slice(left, max(right, left))
    values = np.asarray(one.soft(rows, columns)[0].cpu().numpy(), dtype=np.float32)
    return SoftMask(rows, columns, values) if (values > 0.5).any() else None


def refine(photo: RgbImage, soft: SoftMask, band: float = 0.06, feather: float = 0.01) -> Plane:
    """Alpha `[h, w]` in 0..1 of a garment, its edge moved to the photo's edges.

    First the edge is cut anew where the garment's colours differ most from those around it, within a band along the
    network's edge and on a grid of some hundred pixels; then alpha follows the photo's colours at full resolution.

    Args:
        photo: `[H, W, 3]` uint8, the whole photo.
        soft: the network's mask on a crop of it.
        band: how far the edge may move to either side, as a part of the garment's `side`.
        feather: radius of the windows in which alpha follows colour, as a part of the garment's `side`.
    """
    part = photo[soft.rows, soft.columns]
    cut = _cut(part, soft, band)
    radius = max(feather * soft.side, 1.5)
    alpha = guided(part.astype(np.float32) / np.float32(255), cut, radius, _EPSILON)
    return np.asarray(np.clip((alpha - _HAZE) / (1 - 2 * _HAZE), 0, 1), dtype=np.float32)


def _cut(part: RgbImage, soft: SoftMask, band: float) -> Plane:
    """`[h, w]` in 0..1, the edge moved within `band` by GrabCut on a coarse grid, where colours say where to.

    Source: C. Rother, V. Kolmogorov, A. Blake: GrabCut (2004), by OpenCV.
    """
    scale = min(_COARSE_SIDE / soft.side, 1.0)
    size = max(round(part.shape[1] * scale), 1), max(round(part.shape[0] * scale), 1)
    values = _resized(soft.values, size)
    labels = _labels(values, band * soft.side * scale)
    as_it_is = (soft.values > 0.5).astype(np.float32)
    if len(np.unique(labels)) < 4:
        return as_it_is
    cv2.setRNGSeed(0)  # GrabCut starts from clusters that are drawn
    colours = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    whole = (0, 0, *size)  # not looked at: the labels say where
    cv2.grabCut(colours, labels, whole, np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
    cut = _without_specks(np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8))
    if _contrast(colours, cut) < _CLEARER * _contrast(colours, values) + 1.0:
        return as_it_is  # alike inside and outside: the cut says nothing
    return _resized(cut, (part.shape[1], part.shape[0]))


def _resized(values: Plane, size: tuple[int, int]) -> Plane:
    """On a grid of `size` (width, height), as OpenCV counts."""
    way = cv2.INTER_AREA if size[0] < values.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, size, interpolation=way), dtype=np.float32)


def _without_specks(mask: NDArray[np.uint8]) -> Plane:
    """The mask without loose parts of less than a hundredth of it."""
    _, parts, facts, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = facts[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    kept = areas >= 0.01 * areas.sum()
    kept[0] = False
    return np.asarray(kept[parts], dtype=np.float32)


def _contrast(colours: RgbImage, mask: Plane) -> float:
    """By how much colours (0..255) change across the edge of a mask, on average along it; 0 without an edge."""
    inside = (mask > 0.5).astype(np.uint8)
    edge = inside != cv2.erode(inside, np.ones((3, 3), np.uint8))
    change = cv2.morphologyEx(colours, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).mean(axis=-1)
    return float(change[edge].mean()) if edge.any() else 0.0


def _labels(values: Plane, band: float) -> NDArray[np.uint8]:
    """GrabCut's labels: sure of what is deeper inside or farther outside than `band` pixels, unsure between.

    The band is narrower in a garment that has no such depth, so that something is left to learn its colours from.
    """
    inside = (values > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(np.pad(inside, 1, mode="edge"), cv2.DIST_L2, 5)[1:-1, 1:-1]
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    near = min(max(band, 2.0), 0.8 * float(depth.max()))
    unsure = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    sure = np.where(depth > near, cv2.GC_FGD, cv2.GC_BGD)
    return np.where((depth > near) | (away > near), sure, unsure).astype(np.uint8)


def guided(guide: Plane, values: Plane, radius: float, epsilon: float) -> Plane:
    """`values` `[h, w]` as the best linear function of the colours in each window of `guide` `[h, w, 3]`.

    The functions are found on a grid that is coarser the larger the windows are, and used at every pixel. Sources:
    K. He, J. Sun, X. Tang: Guided Image Filtering (2013); K. He, J. Sun: Fast Guided Filter (2015).
    """
    height, width = values.shape
    step = max(radius / 6, 1.0)
    small = max(round(width / step), 1), max(round(height / step), 1)
    parts = _linear(_resized(guide, small), _resized(values, small), max(round(radius / step), 1), epsilon)
    slopes, offset = (_resized(part, (width, height)) for part in parts)
    return np.asarray(np.einsum("ijk,ijk->ij", slopes, guide) + offset, dtype=np.float32)


def _linear(guide: Plane, values: Plane, radius: int, epsilon: float) -> tuple[Plane, Plane]:
    """Slopes `[h, w, 3]` and offset `[h, w]`, each the mean over the windows that a pixel is in."""

    def mean(part: Plane) -> Plane:
        side = 2 * radius + 1
        return np.asarray(cv2.boxFilter(part, -1, (side, side), borderType=cv2.BORDER_REFLECT), dtype=np.float32)

    colour, level = mean(guide), mean(values)
    shared = mean(guide * values[..., None]) - colour * level[..., None]
    spread = np.empty((*values.shape, 3, 3), dtype=np.float32)
    for i, j in _PAIRS:
        spread[..., i, j] = spread[..., j, i] = mean(guide[..., i] * guide[..., j]) - colour[..., i] * colour[..., j]
    spread += epsilon * np.eye(3, dtype=np.float32)
    slopes = np.linalg.solve(spread, shared[..., None])[..., 0].astype(np.float32)
    offset = level - np.einsum("ijk,ijk->ij", slopes, colour)
    return mean(slopes), mean(offset)


def own_colours(photo: RgbImage, alpha: Plane) -> RgbImage:
    """The colours `[h, w, 3]` of what `alpha` `[h, w]` shows of the crop `photo`, without those that shine through.

    Source: T. Germer and others: Fast Multi-Level Foreground Estimation (2020), by PyMatting.
    """
    # Imported here: it takes seconds, and only cut-outs need it.
    from pymatting import estimate_foreground_ml  # noqa: PLC0415

    colours = estimate_foreground_ml(photo.astype(np.float32) / np.float32(255), alpha.astype(np.float32))
    return np.asarray(np.rint(np.clip(colours, 0, 1) * 255), dtype=np.uint8)
