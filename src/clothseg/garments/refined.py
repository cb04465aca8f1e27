"""Moves the edges of a network's masks to the edges of the photo, where that is safe."""

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from clothseg.garments.matting import move_edge, soft_mask
from clothseg.instances import ArrayInstances, ArrayMasks, one_pixels
from clothseg.instances.refined_masks import RefinedArrayMasks, RefinedMasks
from clothseg.photos import RgbImage

if TYPE_CHECKING:  # they need torch
    from clothseg.instances import Instances, Masks

Found = TypeVar("Found", "Instances", ArrayInstances)
Crop = tuple[slice, slice, NDArray[np.bool_]]

SCORE_THRESHOLD = 0.2
"""Masks of detections with a lower score stay as they are."""
IOU_THRESHOLD = 0.8
"""A new mask that agrees less with the network's is a guess, and is not taken."""
COARSE_SIDE = 160
"""Larger masks (`SoftMask.side`, pixels) are cut on a coarser grid. Twice as many bring nothing: docs/figures.md."""


def refine_edges(photo: RgbImage, found: Found) -> Found:
    """The same detections, whose masks have their edges at those of the photo; the boxes stay.

    Args:
        photo: `[H, W, 3]` uint8 RGB.
        found: on this photo.
    """
    scores = found.scores.tolist()
    crops = [_refined(photo, found.masks, n, score >= SCORE_THRESHOLD) for n, score in enumerate(scores)]
    masks = found.masks
    if isinstance(masks, ArrayMasks):
        return replace(found, masks=RefinedArrayMasks(masks.boxes(), masks.size, masks, crops))
    from clothseg.instances import CropMasks  # noqa: PLC0415 - it needs torch

    refined = CropMasks([crop for _, _, crop in crops], [(x.start, y.start) for y, x, _ in crops], masks.size)
    return replace(found, masks=RefinedMasks(masks, refined))


def _refined(photo: RgbImage, masks: "Masks | ArrayMasks", position: int, may_move: bool) -> Crop:
    """Rows, columns and pixels of the mask at a position, tight around them."""
    soft = soft_mask(masks, position)
    if soft is None:
        return slice(0, 0), slice(0, 0), np.zeros((0, 0), dtype=np.bool_)
    before = one_pixels(masks, position)[soft.rows, soft.columns]
    after = before
    if may_move:
        moved = move_edge(photo[soft.rows, soft.columns], soft, coarse_side=COARSE_SIDE) > 0.5
        if (moved & before).sum() >= IOU_THRESHOLD * (moved | before).sum():
            after = moved
    return _tight(soft.rows.start, soft.columns.start, np.asarray(after, dtype=np.bool_))


def _tight(top: int, left: int, mask: NDArray[np.bool_]) -> Crop:
    """The part of a mask that is tight around its pixels."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0, 0), slice(0, 0), np.zeros((0, 0), dtype=np.bool_)
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    y, x = (
        slice(int(start + span.start), int(start + span.stop)) for start, span in zip((top, left), part, strict=True)
    )
    return y, x, mask[part].copy()
