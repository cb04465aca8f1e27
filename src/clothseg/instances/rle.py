"""Converts one mask between run lengths, polygons and a bool array. No tensors.

`Rle` (COCO's compressed run lengths) is the form on disk and in annotations. A bool array has the pixels. Polygons are
what other tools write.
"""

from collections.abc import Sequence
from typing import Any, TypedDict, cast

import numpy as np
from hotcoco import mask as coco_mask
from numpy.typing import NDArray

from clothseg.errors import DataError, shown
from clothseg.files import is_finite_number

BoolMask = NDArray[np.bool_]
_FARTHEST = 1e15  # pixels; what is farther away is drawn from here, because larger numbers overflow


class Rle(TypedDict):
    """COCO's compressed run lengths. `size` is [height, width]; `counts` runs down the columns, background first."""

    size: list[int]
    counts: str


def _rle(answer: Any) -> Rle:
    counts = answer["counts"]
    return {
        "size": [int(n) for n in answer["size"]],
        "counts": counts.decode() if isinstance(counts, bytes) else str(counts),
    }


def encode(mask: BoolMask) -> Rle:
    """Encodes a `[H, W]` mask. Source: COCO's mask API."""
    return _rle(coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)))


def decode(rle: Rle) -> BoolMask:
    """Decodes run lengths to a `[H, W]` mask.

    Raises:
        DataError: the run lengths cannot be read, or do not fill `size` exactly.
    """
    height, width = rle["size"]
    filled = sum(run_lengths(rle["counts"]))
    if filled != height * width:
        raise DataError(f"RLE runs fill {filled} pixels, but the size {height} x {width} has {height * width}")
    return np.asarray(coco_mask.decode(cast(Any, rle)), dtype=np.bool_)


def run_lengths(counts: str) -> list[int]:
    """Reads the runs of COCO's compressed string: 5 bits per character, a sign, and differences from the third run on.

    Raises:
        DataError: the string has a character outside the format, ends inside a number, or gives a negative run.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for position, character in enumerate(counts):
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise DataError(f"RLE counts hold {character!r} at position {position}, which the format does not allow")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        if runs[-1] < 0:
            raise DataError(f"RLE counts give a run of {runs[-1]} pixels")
        value, shift = 0, 0
    if shift:
        raise DataError("RLE counts end inside a number; the string is cut off")
    return runs


def from_polygons(polygons: Sequence[Sequence[float]], height: int, width: int) -> Rle:
    """Draws an object of one or more polygons, `[x1, y1, x2, y2, ...]` each, as COCO draws them.

    Raises:
        DataError: there is no polygon, or one has fewer than 3 points, an odd number of coordinates, or a coordinate
            that is not a finite number.
    """
    if not polygons:
        raise DataError("the segmentation has no polygon")
    return mask_union(cast(Any, coco_mask.fr_py_objects([_coordinates(p) for p in polygons], height, width)))


def _coordinates(polygon: object) -> list[float]:
    """The numbers of a polygon."""
    if not isinstance(polygon, Sequence) or isinstance(polygon, str | bytes):
        raise DataError(f"a polygon is a list of numbers x1, y1, x2, y2, ...; this one is {shown(polygon)}")
    if len(polygon) < 6 or len(polygon) % 2:
        raise DataError(f"a polygon needs 3 or more x y pairs; this one has {len(polygon)} numbers")
    for side in polygon:
        if not is_finite_number(side):
            raise DataError(f"a polygon has the coordinate {shown(side)}, which is not a finite number")
    return [min(max(float(side), -_FARTHEST), _FARTHEST) for side in polygon]


def from_box(box: Sequence[float], size: tuple[int, int]) -> Rle:
    """The pixels of a box x y width height on a photo of `size` (height, width), as COCO draws a polygon of it."""
    return from_polygons([box_corners(box)], *size)


def box_corners(box: Sequence[float]) -> list[float]:
    """A box x y width height as a polygon x1 y1 x2 y2 x3 y3 x4 y4."""
    x, y, width, height = box
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def from_segmentation(segmentation: object, height: int, width: int) -> Rle:
    """Reads the `segmentation` of a COCO annotation: polygons, or compressed or uncompressed RLE.

    Raises:
        DataError: it is none of these, or an RLE that does not fit `height` x `width`.
    """
    if isinstance(segmentation, list):
        return from_polygons(segmentation, height, width)
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise DataError("the segmentation is neither polygons nor RLE with size and counts")
    size, counts = segmentation["size"], segmentation["counts"]
    if not isinstance(size, list | tuple) or list(size) != [height, width]:
        raise DataError(f"the RLE has size {shown(size)} (height, width), but the photo has {[height, width]}")
    if isinstance(counts, list):
        return _from_runs(counts, height, width)
    if not isinstance(counts, str | bytes):
        raise DataError(f"RLE counts are text or a list of runs; these are {shown(counts)}")
    rle = Rle(size=[height, width], counts=counts if isinstance(counts, str) else counts.decode("latin-1"))
    if sum(run_lengths(rle["counts"])) != height * width:
        raise DataError(f"RLE runs do not fill the {height} x {width} pixels of the photo")
    return rle


def _from_runs(runs: list[Any], height: int, width: int) -> Rle:
    for run in runs:
        if not isinstance(run, int) or isinstance(run, bool) or not 0 <= run <= height * width:
            raise DataError(
                f"RLE counts have the run {shown(run)}; a run is a number of pixels, at most {height * width}"
            )
    if sum(runs) != height * width:
        raise DataError(f"RLE runs fill {sum(runs)} pixels, but the photo has {height} x {width} = {height * width}")
    return _rle(coco_mask.fr_py_objects({"size": [height, width], "counts": runs}, height, width))


def mask_union(masks: Sequence[Rle]) -> Rle:
    """The pixels that belong to any of the masks, which have one size; at least one mask."""
    return _rle(coco_mask.merge(cast(Any, masks)))


def mask_area(rle: Rle) -> int:
    """The number of pixels of the object."""
    return int(coco_mask.area(cast(Any, rle)))


def tight_box(rle: Rle) -> tuple[float, float, float, float]:
    """The tight box around the object's pixels: x y width height in pixels. An empty mask gives all 0."""
    x, y, width, height = (float(v) for v in coco_mask.to_bbox(cast(Any, rle)))
    return x, y, width, height


def mask_iou(found: Sequence[Rle], truth: Sequence[Rle], crowd: Sequence[bool] | None = None) -> NDArray[np.float64]:
    """Intersection over union of each pair of masks, `[len(found), len(truth)]`.

    Where `crowd` marks the truth, the intersection is divided by the area of the found mask, as COCO does.
    """
    if not found or not truth:
        return np.zeros((len(found), len(truth)))
    flags = [int(c) for c in crowd] if crowd is not None else [0] * len(truth)
    return np.asarray(coco_mask.iou(cast(Any, list(found)), cast(Any, list(truth)), flags), dtype=np.float64)


def resize_mask(mask: BoolMask, size: tuple[int, int]) -> BoolMask:
    """Resizes a `[H, W]` mask to `size` (height, width). Each new pixel takes the old pixel under its centre."""
    if mask.shape == tuple(size):
        return mask
    nearest = [(2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip(size, mask.shape, strict=True)]
    rows: BoolMask = mask[nearest[0]]  # first, because whole rows copy fast
    chosen: BoolMask = rows[:, nearest[1]]
    return chosen


def empty_rle(size: tuple[int, int]) -> Rle:
    """A mask without a pixel for a photo of `size` (height, width)."""
    height, width = size
    return from_segmentation({"size": [height, width], "counts": [height * width]}, height, width)
