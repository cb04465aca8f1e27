"""Checks the masks of annotations."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from clothseg.dataset.doctor.findings import Finding
from clothseg.dataset.doctor.rows import AnnotationRow
from clothseg.dataset.reading.segmentation import draw, read_segmentation
from clothseg.instances import Rle, mask_area, mask_iou

_MAX_OVER_EDGE = 2.0  # pixels; rounding and habits of drawing stay below
_SAME_OBJECT = 0.8  # IoU of two masks of one class
_SAME_MASK = 0.95  # IoU of two masks of different classes: a dress and its belt stay far below


def check_mask(row: AnnotationRow, size: tuple[int, int]) -> tuple[Rle | None, list[Finding]]:
    """Draws the mask of an annotation on a photo of `size` (height, width).

    Returns:
        The mask, or None if it cannot be drawn (the reader has reported why) or is empty, and the findings.
    """
    value = row.raw.get("segmentation")
    checked = read_segmentation(value, size)
    rle = draw(value, size) if not checked.kind else None
    if rle is None:
        return None, []
    findings = _outside(row, value, size) if isinstance(value, list) else []
    if mask_area(rle) == 0:
        if not any(f.kind == "mask_outside" for f in findings):
            findings.append(Finding("empty_mask", row.location, "the mask has no pixel"))
        return None, findings
    return (None if any(f.kind == "mask_outside" for f in findings) else rle), findings


def _outside(row: AnnotationRow, polygons: list[list[float]], size: tuple[int, int]) -> list[Finding]:
    """Whether polygons reach over the edge of their photo."""
    height, width = size
    corners = np.concatenate([np.asarray(p, dtype=np.float64).reshape(-1, 2) for p in polygons])
    low, high = corners.min(axis=0), corners.max(axis=0)
    extent = (
        f"x {low[0]:g} to {high[0]:g}, y {low[1]:g} to {high[1]:g} on a photo of {width} x {height} (width x height)"
    )
    if _fraction_inside(low, high, np.array([width, height])) < 0.5:
        return [Finding("mask_outside", row.location, f"the mask spans {extent}")]
    if (low < -_MAX_OVER_EDGE).any() or (high > np.array([width, height]) + _MAX_OVER_EDGE).any():
        return [Finding("mask_over_edge", row.location, f"the mask spans {extent}")]
    return []


def _fraction_inside(low: np.ndarray[Any, Any], high: np.ndarray[Any, Any], sides: np.ndarray[Any, Any]) -> float:
    """The fraction of a rectangle's area that is on the photo; of a line's length if it is one."""
    inside = np.clip(high, 0, sides) - np.clip(low, 0, sides)
    on_photo = (low >= 0) & (low <= sides)
    return float(np.prod(np.where(high > low, inside / np.maximum(high - low, 1e-9), on_photo)))


def check_duplicates(found: Sequence[tuple[AnnotationRow, Rle]]) -> list[Finding]:
    """Finds objects on one photo that are annotated twice. A finding names the later one. Crowds are ignored."""
    single = [(row, rle) for row, rle in found if not row.crowd]
    if len(single) < 2:
        return []
    ious = mask_iou([rle for _, rle in single], [rle for _, rle in single])
    findings = []
    for later in range(1, len(single)):
        row = single[later][0]
        for earlier in range(later):
            other = single[earlier][0]
            iou = ious[later, earlier]
            message = f"its mask and the mask of annotation {other.id!r} have an IoU of {iou:.2f}"
            if row.category_id == other.category_id and iou >= _SAME_OBJECT:
                findings.append(Finding("duplicate_instance", row.location, message, other.location))
                break
            if row.category_id != other.category_id and iou >= _SAME_MASK:
                findings.append(Finding("one_mask_two_classes", row.location, message, other.location))
    return findings
