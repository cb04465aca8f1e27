"""COCO annotations of one photo: from masks, and from boxes without a mask.

Source: https://cocodataset.org/#format-data. The keys `mid`, `box_id`, `mask_path` and the flags come from Open Images.
"""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import numpy as np

from clothseg.instances import (
    Rle,
    from_polygons,
    from_segmentation,
    mask_area,
    mask_iou,
    tight_box,
    to_polygons,
)
from clothseg.openimages.build.orientation import Size
from clothseg.openimages.tables import Box, BoxRow, Flags

_DIGITS = 2  # of pixels
BoolMask = np.ndarray[Any, np.dtype[np.bool_]]


class ConvertedAnnotation(TypedDict):
    """A COCO annotation before it has its ids.

    `segmentation` is an RLE or a list of polygons, empty for an object of which only the box is known; `bbox` is x, y,
    width, height in pixels; `area` is in pixels; the flags are 1 yes, 0 no, -1 unknown. `polygon_iou` says how well
    polygons draw the mask.
    """

    category_id: int
    segmentation: Any
    area: float
    bbox: list[float]
    iscrowd: int
    mid: str
    isoccluded: int
    istruncated: int
    isgroupof: int
    isdepiction: int
    isinside: int
    box_id: str
    mask_path: str
    polygon_iou: NotRequired[float]


def make_annotation(
    rle: Rle,
    mid: str,
    flags: Flags,
    categories: Mapping[str, int],
    *,
    crowd: bool,
    box_id: str = "",
    mask_path: str = "",
) -> ConvertedAnnotation:
    """Makes the annotation of a mask.

    Args:
        rle: the mask on the grid of the photo.
        mid: class id.
        flags: of the box, as in `tables.FLAGS`.
        categories: category id by class id.
        crowd: whether it is a region to ignore.
        box_id: of the mask row; empty for a region.
        mask_path: of the mask row; empty for a region.
    """
    occluded, truncated, group_of, depiction, inside = flags
    return {
        "category_id": categories[mid],
        "segmentation": rle,
        "area": mask_area(rle),
        "bbox": list(tight_box(rle)),
        "iscrowd": int(crowd),
        "mid": mid,
        "isoccluded": occluded,
        "istruncated": truncated,
        "isgroupof": group_of,
        "isdepiction": depiction,
        "isinside": inside,
        "box_id": box_id,
        "mask_path": mask_path,
    }


def make_box_annotation(sides: Box, size: Size, row: BoxRow, categories: Mapping[str, int]) -> ConvertedAnnotation:
    """Makes the annotation of an object that has a box and no mask.

    Args:
        sides: x1 y1 x2 y2 in 0..1 on the photo as it is in the dataset.
        size: height and width of that photo in pixels.
        row: of the list of boxes.
        categories: category id by class id.
    """
    (left, right), (top, bottom) = (sorted(sides[axis::2]) for axis in (0, 1))
    x, y = round(left * size[1], _DIGITS), round(top * size[0], _DIGITS)
    width, height = round(right * size[1] - x, _DIGITS), round(bottom * size[0] - y, _DIGITS)
    annotation = make_annotation(box_region(sides, size), row.mid, row.flags, categories, crowd=False)
    return {**annotation, "segmentation": [], "bbox": [x, y, width, height], "area": round(width * height, _DIGITS)}


def as_polygons(mask: BoolMask, rle: Rle, tolerance: float) -> tuple[Any, Rle, float]:
    """Converts a mask to polygons. A mask that gives no polygon stays an RLE.

    Args:
        mask: [H, W] bool.
        rle: the same mask.
        tolerance: by how many pixels points may move.

    Returns:
        The segmentation, the mask that it draws, and the IoU of that mask with the original.
    """
    polygons = to_polygons(mask, tolerance)
    if not polygons:
        return rle, rle, 1.0
    drawn = from_polygons(polygons, *mask.shape)
    if not mask_area(drawn):
        return rle, rle, 1.0
    return polygons, drawn, round(float(mask_iou([drawn], [rle])[0, 0]), 6)


def box_region(box: Box, size: Size) -> Rle:
    """The pixels of a box, at least one.

    Args:
        box: x1 y1 x2 y2 in 0..1.
        size: height and width of the photo in pixels.
    """
    height, width = size
    left, right = _pixels(box[0], box[2], width)
    top, bottom = _pixels(box[1], box[3], height)
    tall, gap = bottom - top, height - (bottom - top)
    runs = [left * height + top, *([tall, gap] * (right - left))]
    runs[-1] = (width - right) * height + (height - bottom)
    return from_segmentation({"size": [height, width], "counts": runs}, height, width)


def _pixels(low: float, high: float, length: int) -> tuple[int, int]:
    """The first pixel and the one after the last; at least one pixel, inside the photo."""
    first = min(max(round(min(low, high) * length), 0), length - 1)
    return first, max(min(round(max(low, high) * length), length), first + 1)
