"""The segmentation of one annotation: read it as far as it goes, and say what is wrong with it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from clothseg.dataset.doctor.findings import Finding
from clothseg.dataset.doctor.reading import numbers
from clothseg.dataset.doctor.rows import AnnotationRow
from clothseg.errors import DataError
from clothseg.instances import Rle, from_polygons, from_segmentation, mask_area, mask_iou

_OVER_EDGE = 2.0  # pixels: rounding and drawing habits stay under it
_SAME_OBJECT = 0.8  # IoU of two masks of one class
_SAME_MASK = 0.95  # IoU of two masks of different classes: a dress and its belt stay far below


def check_mask(row: AnnotationRow, size: tuple[int, int]) -> tuple[Rle | None, list[Finding]]:
    """The mask of an annotation on a photo of `size` (height, width), or None, and what is wrong with it."""
    value = row.raw.get("segmentation")
    if value is None or value == []:
        what = "segmentation is " + (
            "missing" if "segmentation" not in row.raw else "null" if value is None else "empty"
        )
        return None, [Finding("no_segmentation", row.place, what)]
    if isinstance(value, list):
        rle, findings = _from_polygons(row, value, size)
    elif isinstance(value, dict):
        rle, findings = _from_runs(row, value, size)
    else:
        return None, [Finding("broken_segmentation", row.place, f"segmentation is {type(value).__name__}")]
    if rle is not None and mask_area(rle) == 0:
        if not any(f.kind == "mask_outside" for f in findings):
            findings.append(Finding("empty_mask", row.place, "the mask has no pixel"))
        return None, findings
    return rle, findings


def whole_polygons(value: Any) -> list[list[float]]:
    """The polygons of a segmentation that have 3 or more different points, as they are."""
    if not isinstance(value, list):
        return []
    return [polygon for polygon in value if _points(numbers(polygon)) >= 3]


def _points(polygon: Sequence[float] | None) -> int:
    """Different points; 0 for no polygon, or an odd number of coordinates."""
    if polygon is None or len(polygon) % 2:
        return 0
    return len(set(zip(polygon[::2], polygon[1::2], strict=True)))


def _from_polygons(row: AnnotationRow, value: list[Any], size: tuple[int, int]) -> tuple[Rle | None, list[Finding]]:
    if numbers(value):
        words = "segmentation is one list of numbers; COCO wants a list of polygons, [[x1, y1, x2, y2, ...]]"
        return None, [Finding("broken_segmentation", row.place, words)]
    if any(numbers(polygon) is None for polygon in value):
        return None, [Finding("broken_segmentation", row.place, "a polygon is no list of finite numbers")]
    findings = []
    whole = whole_polygons(value)
    if len(whole) < len(value):
        number, bad = next((n, p) for n, p in enumerate(value) if _points(p) < 3)
        points = f"{len(bad)} coordinates" if len(bad) % 2 else f"{_points(bad)} different point(s)"
        words = f"polygon {number} of {len(value)} has {points}; {len(value) - len(whole)} such polygon(s)"
        findings.append(Finding("few_points", row.place, words))
    if not whole:
        return None, findings
    height, width = size
    corners = np.concatenate([np.asarray(p, dtype=np.float64).reshape(-1, 2) for p in whole])
    low, high = corners.min(axis=0), corners.max(axis=0)
    extent = f"x {low[0]:g} to {high[0]:g}, y {low[1]:g} to {high[1]:g} on a photo of {width} x {height}"
    if _share_inside(low, high, np.array([width, height])) < 0.5:
        return None, [*findings, Finding("mask_outside", row.place, f"the mask reaches from {extent}")]
    if (low < -_OVER_EDGE).any() or (high > np.array([width, height]) + _OVER_EDGE).any():
        findings.append(Finding("mask_over_edge", row.place, f"the mask reaches from {extent}"))
    return from_polygons(whole, height, width), findings


def _share_inside(low: np.ndarray[Any, Any], high: np.ndarray[Any, Any], sides: np.ndarray[Any, Any]) -> float:
    """The part of a rectangle's area that lies on the photo."""
    inside = np.clip(high, 0, sides) - np.clip(low, 0, sides)
    return float(np.prod(inside / np.maximum(high - low, 1e-9)))


def _from_runs(row: AnnotationRow, value: dict[str, Any], size: tuple[int, int]) -> tuple[Rle | None, list[Finding]]:
    own = numbers(value.get("size"), 2)
    counts = value.get("counts")
    if own is None or not isinstance(counts, str | list) or (isinstance(counts, list) and numbers(counts) is None):
        return None, [Finding("broken_segmentation", row.place, "an RLE needs size [height, width] and counts")]
    if tuple(own) != size:
        turned = "; height and width are exchanged" if (own[1], own[0]) == size else ""
        words = f"the RLE has {own[1]:g} x {own[0]:g} pixels, the photo {size[1]} x {size[0]} (width x height){turned}"
        return None, [Finding("rle_size", row.place, words)]
    runs = counts if isinstance(counts, str) else [int(n) for n in counts]
    try:
        return from_segmentation({"size": list(size), "counts": runs}, *size), []
    except (DataError, ValueError, OverflowError) as error:
        return None, [Finding("broken_rle", row.place, str(error))]


def check_twice(found: Sequence[tuple[AnnotationRow, Rle]]) -> list[Finding]:
    """Objects of one photo that are annotated twice. The later of the two is named, crowds are left alone."""
    plain = [(row, rle) for row, rle in found if not row.crowd]
    if len(plain) < 2:
        return []
    overlap = mask_iou([rle for _, rle in plain], [rle for _, rle in plain])
    findings = []
    for later in range(1, len(plain)):
        row = plain[later][0]
        for earlier in range(later):
            other = plain[earlier][0]
            iou = overlap[later, earlier]
            words = f"its mask overlaps that of annotation {other.id!r} with an IoU of {iou:.2f}"
            if row.category_id == other.category_id and iou >= _SAME_OBJECT:
                findings.append(Finding("duplicate_instance", row.place, words, other.place))
                break
            if row.category_id != other.category_id and iou >= _SAME_MASK:
                findings.append(Finding("one_mask_two_classes", row.place, words, other.place))
    return findings
