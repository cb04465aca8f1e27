"""Checks the form of the segmentation of an annotation, and corrects what has only another form."""

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clothseg.dataset.reading.values import as_number, as_numbers, describe, numbers, whole
from clothseg.errors import DataError
from clothseg.instances.rle import Rle, box_corners, from_segmentation, run_lengths

Size = tuple[int, int]
"""Height and width in pixels."""
NO_SEGMENTATION = "no_segmentation"
"""The kind of a segmentation that is null, empty or missing; no fault where there is a box."""
_NUMBERS = frozenset({int, float})


@dataclass(frozen=True, slots=True)
class Segmentation:
    """A segmentation after the check.

    Attributes:
        value: polygons or RLE in COCO's form; None if it cannot be used.
        kind: of the issue; empty if there is none.
        message: of the issue.
        compressed: whether it is a compressed RLE whose runs are not checked yet.
    """

    value: Any
    kind: str = ""
    message: str = ""
    compressed: bool = False


def read_segmentation(value: Any, size: Size | None) -> Segmentation:
    """Reads a segmentation for a photo of `size`; None if that is not known, so that an RLE cannot be compared."""
    if isinstance(value, list) and value:
        return _polygons(value)
    if isinstance(value, dict) and value:
        return _runs(value, size)
    if value is None or (isinstance(value, list | dict) and not value):
        what = "null" if value is None else "empty"
        return Segmentation(None, NO_SEGMENTATION, f"segmentation is {what}")
    message = f"segmentation must be polygons or RLE, found {describe(value)}"
    return Segmentation(None, "broken_segmentation", message)


def read_rectangle(raw: Mapping[str, Any]) -> Segmentation | None:
    """The mask of a rectangle that labelme's converter wrote as two opposite corners; None for anything else.

    Its box and area are those of the filled rectangle with both corners inside. A thin line has another area.
    """
    value, box, area = raw["segmentation"], read_box(raw.get("bbox")), as_number(raw.get("area"))
    corners = as_numbers(value[0]) if len(value) == 1 else None
    if corners is None or len(corners) != 4 or box is None or area is None:
        return None
    (left, right), (top, bottom) = sorted(corners[::2]), sorted(corners[1::2])
    hull = (left, top, right - left + 1, bottom - top + 1)
    if any(abs(side - other) > 1 for side, other in zip(box, hull, strict=True)) or area != box[2] * box[3]:
        return None
    message = f"a polygon of two corners, whose box and area are those of a rectangle: {describe(value[0])}"
    return Segmentation([box_corners(box)], "two_corners", message)


def _polygons(value: list[Any]) -> Segmentation:
    if all(_is_polygon(polygon) for polygon in value):
        return Segmentation(value)
    if numbers(value) is not None:
        message = "segmentation is one list of numbers; COCO needs a list of polygons: [[x1, y1, x2, y2, ...]]"
        return Segmentation(None, "broken_segmentation", message)
    plain = [as_numbers(polygon) for polygon in value]
    if wrong := next((given for given, polygon in zip(value, plain, strict=True) if polygon is None), None):
        message = f"a polygon must be a list of finite numbers, found {describe(wrong)}"
        return Segmentation(None, "broken_segmentation", message)
    read = [polygon for polygon in plain if polygon is not None]
    if len(read) < len(value):
        message = "a polygon must be a list of finite numbers, found an empty value"
        return Segmentation(None, "broken_segmentation", message)
    kept = [polygon for polygon in read if _points(polygon) >= 3]
    if len(kept) < len(read):
        number, bad = next((n, polygon) for n, polygon in enumerate(read) if _points(polygon) < 3)
        points = f"{len(bad)} coordinates" if len(bad) % 2 else f"{_points(bad)} different points"
        message = f"polygons with too few points: {len(read) - len(kept)} of {len(read)}; number {number} has {points}"
        return Segmentation(kept or None, "polygon_dropped" if kept else "few_points", message)
    return Segmentation(kept, "number_form", "coordinates of the polygon are written as text")


def _is_polygon(polygon: Any) -> bool:
    """Whether it is a list of finite numbers with 3 or more different points."""
    if not isinstance(polygon, list) or not polygon or not set(map(type, polygon)) <= _NUMBERS or len(polygon) % 2:
        return False
    try:
        finite = math.isfinite(sum(polygon))
    except OverflowError:
        return False
    return finite and len(set(zip(polygon[::2], polygon[1::2], strict=True))) >= 3


def _points(polygon: list[float]) -> int:
    """The number of different points; 0 if the number of coordinates is odd."""
    return 0 if len(polygon) % 2 else len(set(zip(polygon[::2], polygon[1::2], strict=True)))


def _runs(value: dict[str, Any], size: Size | None) -> Segmentation:
    counts, own = value.get("counts"), value.get("size")
    fits = size is not None and own == [*size] and type(own[0]) is int and type(own[1]) is int
    if fits and type(counts) is str and not counts.startswith("b'"):
        return Segmentation(value, compressed=True)
    given = _size_of(own)
    if isinstance(counts, str | bytes):
        text = _text_of(counts)
    elif isinstance(counts, list) and (runs := [whole(run) for run in counts]) and None not in runs:
        return _list_of_runs(value, [run for run in runs if run is not None], given, size)
    else:
        return Segmentation(None, "broken_segmentation", "an RLE needs size [height, width] and counts")
    if given is None or (wrong := _other_size(given, size)):
        wrong = "an RLE needs size [height, width] and counts" if given is None else wrong
        return Segmentation(None, "broken_segmentation" if given is None else "rle_size", wrong)
    fixed = {"size": [*given], "counts": text}
    if fixed == value and own is not None and type(own[0]) is int:
        return Segmentation(value, compressed=True)
    return Segmentation(fixed, "number_form", "size or counts of the RLE are not in COCO's form", compressed=True)


def _list_of_runs(value: dict[str, Any], runs: list[int], given: Size | None, size: Size | None) -> Segmentation:
    """RLE whose counts are a list: of runs, or of the codes of the compressed string."""
    filled = sum(runs)
    if given is None and value.get("size") is None and size is not None and filled == size[0] * size[1]:
        given = size
    if given is None:
        return Segmentation(None, "broken_segmentation", "an RLE needs size [height, width] and counts")
    if wrong := _other_size(given, size):
        return Segmentation(None, "rle_size", wrong)
    pixels = given[0] * given[1]
    if filled == pixels and min(runs) >= 0:
        if set(map(type, value["counts"])) == {int} and value.get("size") == [*given] and type(value["size"][0]) is int:
            return Segmentation(value)
        fixed = {"size": [*given], "counts": runs}
        return Segmentation(fixed, "number_form", "size or counts of the RLE are not whole numbers")
    if all(48 <= code < 112 for code in runs) and _fills(text := bytes(runs).decode("ascii"), pixels):
        message = "counts of the RLE are the codes of the compressed text"
        return Segmentation({"size": [*given], "counts": text}, "number_form", message)
    what = "give a negative run" if min(runs) < 0 else f"fill {filled} pixels"
    message = f"RLE runs {what}, but the photo has {given[0]} x {given[1]} = {pixels}"
    return Segmentation(None, "broken_rle", message)


def _size_of(given: Any) -> Size | None:
    sides = [whole(side) for side in given] if isinstance(given, list | tuple) and len(given) == 2 else [None]
    return (sides[0], sides[1]) if len(sides) == 2 and sides[0] is not None and sides[1] is not None else None


def _text_of(counts: str | bytes) -> str:
    """Compressed counts; Python's form of bytes (`b'...'`) is taken for the bytes themselves."""
    if isinstance(counts, str) and counts.startswith("b'") and counts.endswith("'"):
        try:
            counts = ast.literal_eval(counts)
        except (ValueError, SyntaxError):
            return str(counts)
    return counts.decode("ascii", "replace") if isinstance(counts, bytes) else str(counts)


def _other_size(given: Size, size: Size | None) -> str:
    """A message if an RLE has another size than its photo."""
    if size is None or given == size:
        return ""
    swapped = "; width and height are swapped" if given[::-1] == size else ""
    return (
        f"the RLE has {given[1]} x {given[0]} pixels (width x height), but the photo has {size[1]} x {size[0]}{swapped}"
    )


def _fills(text: str, pixels: int) -> bool:
    try:
        return sum(run_lengths(text)) == pixels
    except DataError:
        return False


def draw(segmentation: Any, size: Size) -> Rle | None:
    """The mask of a checked segmentation as RLE; None if it cannot be drawn."""
    try:
        return from_segmentation(segmentation, *size)
    except (DataError, ValueError, TypeError, OverflowError):
        return None


def read_box(value: Any) -> list[float] | None:
    """A box x, y, width, height of finite numbers, width and height 0 or more; None if it is something else."""
    box = as_numbers(value, 4)
    return box if box is not None and box[2] >= 0 and box[3] >= 0 else None


def read_flag(value: Any) -> int | None:
    """0 or 1 from `iscrowd`; None if it is something else."""
    if isinstance(value, str) and value.strip().casefold() in ("true", "false"):
        return int(value.strip().casefold() == "true")
    number = int(value) if isinstance(value, bool) else as_number(value)
    return int(number) if number in (0, 1) and number is not None else None
