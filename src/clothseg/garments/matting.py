"""Refines a network's coarse mask to an alpha that follows the photo's edges, and removes background from the colours.

Everything works on a crop around one instance. The time depends on the garment's size, not on the photo's.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from clothseg.cores import one_numba_thread
from clothseg.errors import ClothsegError
from clothseg.instances import ArrayMasks, one_mask, to_array
from clothseg.photos import RgbImage

if TYPE_CHECKING:  # it needs torch
    from clothseg.instances import Masks

Plane = NDArray[np.float32]

_COARSE_SIDE = 320
"""Garments with a larger `SoftMask.side` (pixels) are cut on a coarser grid."""
_ITERATIONS = 3
_MIN_CONTRAST_GAIN = 1.05
"""A new edge replaces the network's if its colour contrast is higher by this factor."""
_EPSILON = 1e-4
"""Alpha does not follow colours whose variance (of 0..1) is below this."""
_HAZE = 0.05
"""Alpha this close to 0 or 1 becomes 0 or 1. The filter leaves such values where colours are not quite even."""
_FOREGROUND = "pymatting.foreground.estimate_foreground_ml"
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


def refine(photo: RgbImage, soft: SoftMask, band: float = 0.06, feather: float = 0.01) -> Plane:
    """Alpha of a garment whose edge is moved to the photo's edges.

    First, GrabCut finds a new edge where colours inside and outside differ most. It stays within a band along the
    network's edge and works on a grid of a few hundred pixels. Then alpha follows the photo's colours at full
    resolution.

    Args:
        photo: `[H, W, 3]` uint8, the whole photo.
        soft: the network's mask on a crop of it.
        band: how far the edge may move in each direction, as a part of the garment's `side`.
        feather: radius of the windows in which alpha follows colour, as a part of the garment's `side`.

    Returns:
        `[h, w]` float32 in 0..1.
    """
    part = photo[soft.rows, soft.columns]
    cut = _cut(part, soft, band)
    radius = max(feather * soft.side, 1.5)
    alpha = guided(part.astype(np.float32) / np.float32(255), cut, radius, _EPSILON)
    return np.asarray(np.clip((alpha - _HAZE) / (1 - 2 * _HAZE), 0, 1), dtype=np.float32)


def _cut(part: RgbImage, soft: SoftMask, band: float) -> Plane:
    """Moves the edge within `band` by GrabCut on a coarse grid: `[h, w]` in 0..1.

    Source: C. Rother, V. Kolmogorov, A. Blake: GrabCut (2004), by OpenCV.
    """
    scale = min(_COARSE_SIDE / soft.side, 1.0)
    size = max(round(part.shape[1] * scale), 1), max(round(part.shape[0] * scale), 1)
    values = _resize(soft.values, size)
    labels = _labels(values, band * soft.side * scale)
    unchanged = (soft.values > 0.5).astype(np.float32)
    if len(np.unique(labels)) < 4:
        return unchanged
    cv2.setRNGSeed(0)  # GrabCut starts from random clusters
    colours = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    whole = (0, 0, *size)  # ignored, because the labels mark the pixels
    cv2.grabCut(colours, labels, whole, np.zeros((1, 65)), np.zeros((1, 65)), _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    cut = _remove_specks(np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8))
    if _contrast(colours, cut) < _MIN_CONTRAST_GAIN * _contrast(colours, values) + 1.0:
        return unchanged  # inside and outside have similar colours, so the cut is a guess
    return _resize(cut, (part.shape[1], part.shape[0]))


def _resize(values: Plane, size: tuple[int, int]) -> Plane:
    """Resizes to `size` (width, height, in OpenCV's order)."""
    interpolation = cv2.INTER_AREA if size[0] < values.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, size, interpolation=interpolation), dtype=np.float32)


def _remove_specks(mask: NDArray[np.uint8]) -> Plane:
    """Removes separate parts with less than a hundredth of the mask's area."""
    _, parts, facts, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = facts[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    kept = areas >= 0.01 * areas.sum()
    kept[0] = False
    return np.asarray(kept[parts], dtype=np.float32)


def _contrast(colours: RgbImage, mask: Plane) -> float:
    """The mean change of colours (0..255) across the edge of a mask. 0 without an edge."""
    inside = (mask > 0.5).astype(np.uint8)
    edge = inside != cv2.erode(inside, np.ones((3, 3), np.uint8))
    change = cv2.morphologyEx(colours, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).mean(axis=-1)
    return float(change[edge].mean()) if edge.any() else 0.0


def _labels(values: Plane, band: float) -> NDArray[np.uint8]:
    """GrabCut's labels: certain for pixels more than `band` inside or outside the edge, uncertain between.

    In a thin garment the band is narrower, so that some certain pixels remain from which GrabCut learns the colours.
    """
    inside = (values > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(np.pad(inside, 1, mode="edge"), cv2.DIST_L2, 5)[1:-1, 1:-1]
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    near = min(max(band, 2.0), 0.8 * float(depth.max()))
    probable = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    sure = np.where(depth > near, cv2.GC_FGD, cv2.GC_BGD)
    return np.where((depth > near) | (away > near), sure, probable).astype(np.uint8)


def guided(guide: Plane, values: Plane, radius: float, epsilon: float) -> Plane:
    """Guided filter: fits `values` `[h, w]` by a linear function of the colours in each window of `guide` `[h, w, 3]`.

    The functions are computed on a grid that is coarser for larger windows, and applied at every pixel. Sources:
    K. He, J. Sun, X. Tang: Guided Image Filtering (2013); K. He, J. Sun: Fast Guided Filter (2015).
    """
    height, width = values.shape
    step = max(radius / 6, 1.0)
    small = max(round(width / step), 1), max(round(height / step), 1)
    parts = _linear(_resize(guide, small), _resize(values, small), max(round(radius / step), 1), epsilon)
    slopes, offset = (_resize(part, (width, height)) for part in parts)
    return np.asarray(np.einsum("ijk,ijk->ij", slopes, guide) + offset, dtype=np.float32)


def _linear(guide: Plane, values: Plane, radius: int, epsilon: float) -> tuple[Plane, Plane]:
    """Slopes `[h, w, 3]` and offsets `[h, w]`, averaged over all windows that contain the pixel."""

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
    """The garment's own colours `[h, w, 3]` in the crop `photo`, without the background that shines through.

    `alpha` is `[h, w]` in 0..1.

    Source: T. Germer and others: Fast Multi-Level Foreground Estimation (2020), by PyMatting.
    """
    with one_numba_thread():
        colours = load_foreground()(photo.astype(np.float32) / np.float32(255), alpha.astype(np.float32))
    return np.asarray(np.rint(np.clip(colours, 0, 1) * 255), dtype=np.uint8)


@cache
def load_foreground() -> Callable[[Plane, Plane], Plane]:
    """PyMatting's `estimate_foreground_ml`: colours `[h, w, 3]` from a crop `[h, w, 3]` in 0..1 and its alpha.

    The first call on a machine compiles it, for some seconds; Numba keeps the result beside PyMatting's file, or in the
    user's cache folder. Only this one file is imported: PyMatting as a whole compiles ten times as much that is not
    used here.

    Raises:
        ClothsegError: this version of PyMatting has no such file.
    """
    if _FOREGROUND not in sys.modules:
        package = find_spec("pymatting")
        folders = (package.submodule_search_locations if package else None) or []
        files = [Path(folder, "foreground", "estimate_foreground_ml.py") for folder in folders]
        spec = spec_from_file_location(_FOREGROUND, files[0]) if files and files[0].is_file() else None
        if spec is None or spec.loader is None:
            raise ClothsegError("cut-outs need PyMatting; install a version that pyproject.toml of clothseg allows")
        module = sys.modules[_FOREGROUND] = module_from_spec(spec)  # Numba's files refer to the module by its full name
        try:
            with one_numba_thread():  # which also decides how Numba starts
                spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[_FOREGROUND]
            raise
    function: Callable[[Plane, Plane], Plane] = sys.modules[_FOREGROUND].estimate_foreground_ml
    return function
