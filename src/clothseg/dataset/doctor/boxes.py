"""Checks box and area of one annotation, compared with its photo and its mask."""

from collections.abc import Sequence

from clothseg.dataset.doctor.findings import Finding
from clothseg.dataset.doctor.rows import AnnotationRow
from clothseg.dataset.reading.values import numbers
from clothseg.instances import Rle, XywhBox, box_iou, mask_area, tight_box

_MAX_OUTSIDE = 2.0  # pixels
_MIN_INSIDE = 0.5  # of the area of a box without a mask
_MIN_IOU = 0.5  # of a box with the tight box of its mask
_SAME_OBJECT = 0.9  # IoU of the boxes of two objects of one class, of which one has no mask
_LOOSE_PIXELS, _LOOSE_FRACTION = 4.0, 0.1  # tolerance of an edge: the larger of pixels and fraction of the side


def check_box(row: AnnotationRow, size: tuple[int, int], rle: Rle | None) -> list[Finding]:
    """Checks `bbox` and `area` on a photo of `size` (height, width), with the mask `rle` if there is one.

    Values that cannot be read are reported by the reader.
    """
    return _check_bbox(row, size, rle) + _check_area(row, rle)


def _check_bbox(row: AnnotationRow, size: tuple[int, int], rle: Rle | None) -> list[Finding]:
    values = numbers(row.raw.get("bbox"), 4)
    if values is None:
        return []
    box: XywhBox = (values[0], values[1], values[2], values[3])
    text = _text(box)
    if box[2] <= 0 or box[3] <= 0:
        return [Finding("zero_box", row.location, f"bbox {text} has width {box[2]:g} and height {box[3]:g}")]
    findings = []
    beyond = max(-box[0], -box[1], box[0] + box[2] - size[1], box[1] + box[3] - size[0])
    if row.box_only and _fraction_inside(box, size) < _MIN_INSIDE:
        message = f"bbox {text} is outside the photo of {size[1]} x {size[0]} (width x height) by more than half"
        findings.append(Finding("box_off_photo", row.location, message))
    elif beyond > _MAX_OUTSIDE:
        message = f"bbox {text} reaches {beyond:.0f} pixels outside the photo of {size[1]} x {size[0]} (width x height)"
        findings.append(Finding("box_outside", row.location, message))
    if rle is not None:
        findings += _compare_with_mask(row, box, tight_box(rle))
    return findings


def _fraction_inside(box: XywhBox, size: tuple[int, int]) -> float:
    """The fraction of a box's area that is on a photo of `size` (height, width)."""
    across = min(box[0] + box[2], size[1]) - max(box[0], 0.0)
    down = min(box[1] + box[3], size[0]) - max(box[1], 0.0)
    return max(across, 0.0) * max(down, 0.0) / (box[2] * box[3])


def _text(box: XywhBox) -> str:
    return "[" + ", ".join(f"{v:g}" for v in box) + "]"


def _compare_with_mask(row: AnnotationRow, box: XywhBox, tight: XywhBox) -> list[Finding]:
    message = f"bbox is {_text(box)}, but the tight box of the mask is {_text(tight)}"
    if box_iou(box, tight) < _MIN_IOU and not _close(box, tight):
        if _close((box[0], box[1], box[2] - box[0], box[3] - box[1]), tight):
            message += "; bbox fits if it is read as x1 y1 x2 y2"
        return [Finding("box_mask_mismatch", row.location, message)]
    return [] if _close(box, tight) else [Finding("loose_box", row.location, message)]


def _close(one: XywhBox, other: XywhBox) -> bool:
    """Whether all edges of two boxes agree within the tolerance."""
    for axis in (0, 1):
        allowed = max(_LOOSE_PIXELS, _LOOSE_FRACTION * other[axis + 2])
        start = abs(one[axis] - other[axis])
        end = abs(one[axis] + one[axis + 2] - other[axis] - other[axis + 2])
        if max(start, end) > allowed:
            return False
    return True


def check_duplicate_boxes(rows: Sequence[AnnotationRow], masks: Sequence[tuple[AnnotationRow, Rle]]) -> list[Finding]:
    """Finds boxes without a mask around an object of their class that another annotation of the photo has already.

    Args:
        rows: the annotations of one photo.
        masks: those of them that have a mask, with it.
    """
    known = [(row, tight_box(rle)) for row, rle in masks if not row.crowd]
    findings = []
    for row in rows:
        values = numbers(row.raw.get("bbox"), 4) if row.box_only else None
        if values is None or values[2] <= 0 or values[3] <= 0:
            continue
        box: XywhBox = (values[0], values[1], values[2], values[3])
        for other, earlier in known:
            if row.category_id == other.category_id and (iou := box_iou(box, earlier)) >= _SAME_OBJECT:
                message = f"its box and the box of annotation {other.id!r} have an IoU of {iou:.2f}"
                findings.append(Finding("duplicate_instance", row.location, message, other.location))
                break
        known.append((row, box))
    return findings


def _check_area(row: AnnotationRow, rle: Rle | None) -> list[Finding]:
    values = numbers([row.raw.get("area")])
    if values is None or rle is None:
        return []
    area, pixels, tight = values[0], mask_area(rle), tight_box(rle)
    if isinstance(row.raw.get("segmentation"), dict):
        allowed = max(1.0, 0.01 * pixels)
    else:  # the area of a polygon's outline, which runs through the middle of pixels, differs from the pixels
        allowed = 0.1 * pixels + tight[2] + tight[3]
    if area > 0 and abs(area - pixels) <= allowed:
        return []
    hint = "; this is the area of the box" if abs(area - tight[2] * tight[3]) <= 0.02 * area else ""
    return [Finding("wrong_area", row.location, f"area is {area:g}, but the mask has {pixels} pixels{hint}")]
