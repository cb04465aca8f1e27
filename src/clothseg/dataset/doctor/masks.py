"""Checks the segmentation of one annotation, and reads its mask if possible."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from clothseg.dataset.doctor.findings import Finding
from clothseg.dataset.doctor.reading import numbers
from clothseg.dataset.doctor.rows import AnnotationRow
from clothseg.errors import DataError
from clothseg.instances import Rle, from_polygons, from_segmentation, mask_area, mask_iou

_MAX_OVER_EDGE = 2.0  # pixels; rounding and habits of drawing stay below
_SAME_OBJECT = 0.8  # IoU of two masks of one class
_SAME_MASK = 0.95  # IoU of two masks of different classes: a dress and its belt stay far below


def check_mask(row: AnnotationRow, size: tuple[int, int]) -> tuple[Rle | None, list[Finding]]:
    """Reads the mask of an annotation on a photo of `size` (height, width).

    Returns:
        The mask, or None if it cannot be read or is empty, and the findings.
    """
    value = row.raw.get("segmentation")
    if value is None or value == []:
        what = "segmentation is " + (
            "missing" if "segmentation" not in row.raw else "null" if value is None else "empty"
        )
        return None, [Finding("no_segmentation", row.location, what)]
    if isinstance(value, list):
        rle, findings = _from_polygons(row, value, size)
    elif isinstance(value, dict):
        rle, findings = _from_runs(row, value, size)
    else:
        return None, [
            Finding(
                "broken_segmentation",
                row.location,
                f"segmentation must be polygons or RLE, found {type(value).__name__}",
            )
        ]
    if rle is not None and mask_area(rle) == 0:
        if not any(f.kind == "mask_outside" for f in findings):
            findings.append(Finding("empty_mask", row.location, "the mask has no pixel"))
        return None, findings
    return rle, findings


def valid_polygons(value: Any) -> list[list[float]]:
    """The polygons of a segmentation that have 3 or more different points, unchanged."""
    if not isinstance(value, list):
        return []
    return [polygon for polygon in value if _points(numbers(polygon)) >= 3]


def _points(polygon: Sequence[float] | None) -> int:
    """The number of different points. 0 if there is no polygon or the number of coordinates is odd."""
    if polygon is None or len(polygon) % 2:
        return 0
    return len(set(zip(polygon[::2], polygon[1::2], strict=True)))


def _from_polygons(row: AnnotationRow, value: list[Any], size: tuple[int, int]) -> tuple[Rle | None, list[Finding]]:
    if numbers(value):
        message = "segmentation is one list of numbers; COCO needs a list of polygons: [[x1, y1, x2, y2, ...]]"
        return None, [Finding("broken_segmentation", row.location, message)]
    if any(numbers(polygon) is None for polygon in value):
        return None, [Finding("broken_segmentation", row.location, "a polygon must be a list of finite numbers")]
    findings = []
    valid = valid_polygons(value)
    if len(valid) < len(value):
        number, bad = next((n, p) for n, p in enumerate(value) if _points(p) < 3)
        points = f"{len(bad)} coordinates" if len(bad) % 2 else f"{_points(bad)} different points"
        message = (
            f"polygons with too few points: {len(value) - len(valid)} of {len(value)}; number {number} has {points}"
        )
        findings.append(Finding("few_points", row.location, message))
    if not valid:
        return None, findings
    height, width = size
    corners = np.concatenate([np.asarray(p, dtype=np.float64).reshape(-1, 2) for p in valid])
    low, high = corners.min(axis=0), corners.max(axis=0)
    extent = (
        f"x {low[0]:g} to {high[0]:g}, y {low[1]:g} to {high[1]:g} on a photo of {width} x {height} (width x height)"
    )
    if _fraction_inside(low, high, np.array([width, height])) < 0.5:
        return None, [*findings, Finding("mask_outside", row.location, f"the mask spans {extent}")]
    if (low < -_MAX_OVER_EDGE).any() or (high > np.array([width, height]) + _MAX_OVER_EDGE).any():
        findings.append(Finding("mask_over_edge", row.location, f"the mask spans {extent}"))
    return from_polygons(valid, height, width), findings


def _fraction_inside(low: np.ndarray[Any, Any], high: np.ndarray[Any, Any], sides: np.ndarray[Any, Any]) -> float:
    """The fraction of a rectangle's area that is on the photo."""
    inside = np.clip(high, 0, sides) - np.clip(low, 0, sides)
    return float(np.prod(inside / np.maximum(high - low, 1e-9)))


def _from_runs(row: AnnotationRow, value: dict[str, Any], size: tuple[int, int]) -> tuple[Rle | None, list[Finding]]:
    own = numbers(value.get("size"), 2)
    counts = value.get("counts")
    if own is None or not isinstance(counts, str | list) or (isinstance(counts, list) and numbers(counts) is None):
        return None, [Finding("broken_segmentation", row.location, "an RLE needs size [height, width] and counts")]
    if tuple(own) != size:
        swapped = "; width and height are swapped" if (own[1], own[0]) == size else ""
        message = (
            f"the RLE has {own[1]:g} x {own[0]:g} pixels (width x height), the photo {size[1]} x {size[0]}{swapped}"
        )
        return None, [Finding("rle_size", row.location, message)]
    runs = counts if isinstance(counts, str) else [int(n) for n in counts]
    try:
        return from_segmentation({"size": list(size), "counts": runs}, *size), []
    except (DataError, ValueError, OverflowError) as error:
        return None, [Finding("broken_rle", row.location, str(error))]


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
