"""Reads the annotations of a COCO file."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from clothseg.dataset.reading.issues import Issue, IssueLog, Need
from clothseg.dataset.reading.rows import AnnotationRow, CategoryRow, ImageRow
from clothseg.dataset.reading.segmentation import (
    NO_SEGMENTATION,
    Segmentation,
    Size,
    draw,
    read_box,
    read_flag,
    read_rectangle,
    read_segmentation,
)
from clothseg.dataset.reading.values import Id, as_number, describe, read_id
from clothseg.errors import shown
from clothseg.instances.rle import Rle, box_corners, mask_area, tight_box
from clothseg.instances.rle_validation import filled_pixels

_NUMBER_TYPES = frozenset({int, float})
_MOST_PIXELS = 1e18  # more than any area


class AnnotationReader:
    """Reads annotations one by one; `finish` then checks all compressed masks together.

    Args:
        images: the photos by id.
        categories: the classes by id.
        log: receives the issues.
    """

    def __init__(self, images: Mapping[Id, ImageRow], categories: Mapping[Id, CategoryRow], log: IssueLog) -> None:
        self.images, self.categories, self.log = images, categories, log
        self._first: dict[Id, int] = {}
        self._compressed: list[tuple[AnnotationRow, str, int]] = []

    def read(self, row: int, raw: dict[str, Any]) -> AnnotationRow:
        """One annotation. What is wrong or was corrected is in the log."""
        number = raw.get("id")
        if type(number) is not int or number in self._first:
            number = self._annotation_id(row, raw)
        else:
            self._first[number] = row
        image_id, category_id = raw.get("image_id"), raw.get("category_id")
        if type(image_id) is not int or image_id not in self.images:
            image_id = self._reference(row, raw, "image_id", self.images)
        if type(category_id) is not int or category_id not in self.categories:
            category_id = self._reference(row, raw, "category_id", self.categories)
        image = self.images.get(image_id) if image_id is not None else None
        read, text = self._with_values(row, raw, image.size if image is not None else None)
        answer = AnnotationRow(row, number, image_id, category_id, read)
        if text is not None and image is not None and image.size is not None:
            self._compressed.append((answer, text, image.size[0] * image.size[1]))
        return answer

    def finish(self) -> None:
        """Reports compressed masks whose runs cannot be read or do not fill their photo."""
        filled = filled_pixels([text for _, text, _ in self._compressed]).tolist()
        for (annotation, _, pixels), found in zip(self._compressed, filled, strict=True):
            if found != pixels:
                has = f"its runs fill {found}" if found >= 0 else "its counts cannot be read"
                self._add("broken_rle", annotation.row, annotation.raw, f"broken RLE: {has} of {pixels} pixels")

    def _annotation_id(self, row: int, raw: Mapping[str, Any]) -> Id | None:
        """The id of a row that has none, or a strange one, or that of another."""
        given = raw.get("id")
        number = read_id(given)
        if number is None:
            what = "id missing" if given is None else f"id must be a whole number, found {describe(given)}"
            self._add("no_own_id", row, raw, what)
        elif (first := self._first.setdefault(number, row)) != row:
            message = f"id {number!r} is also the id of annotations[{first}]"
            self._add("no_own_id", row, raw, message, other=first)
        elif type(given) is not int:
            self._add("id_not_whole", row, raw, f"id must be a whole number, found {describe(given)}")
        return number

    def _reference(self, row: int, raw: Mapping[str, Any], key: str, known: Mapping[Id, Any]) -> Id | None:
        """The id of the photo or the class of a row where it is strange or unknown."""
        given = raw.get(key)
        number = read_id(given)
        what = "photo" if key == "image_id" else "class"
        if given is None:
            self._add("missing_key", row, raw, f"{key} missing")
        elif number is None:
            self._add("wrong_type", row, raw, f"{key} must be a whole number, found {describe(given)}")
        elif number not in known:
            ids = ", ".join(repr(i) for i in list(known)[:8]) or "none"
            kind = "unknown_image" if what == "photo" else "unknown_category"
            self._add(kind, row, raw, f"names {what} {number!r}, which is not in the file; it has the ids {ids}")
        elif type(given) is not int:
            self._add("id_not_whole", row, raw, f"{key} must be a whole number, found {describe(given)}")
        return number

    def _with_values(self, row: int, raw: dict[str, Any], size: Size | None) -> tuple[dict[str, Any], str | None]:
        """The row with mask, box, area and `iscrowd` corrected, and its compressed counts if they are to be checked."""
        changed: dict[str, Any] = {}
        mask = read_segmentation(raw.get("segmentation"), size)
        if mask.kind == "few_points" and (rectangle := read_rectangle(raw)) is not None:
            mask = rectangle
        if mask.kind and mask.kind != NO_SEGMENTATION:
            self._add(mask.kind, row, raw, mask.message)
            if mask.value is not None:
                changed["segmentation"] = mask.value
        box, area, crowd = raw.get("bbox"), raw.get("area"), raw.get("iscrowd")
        if type(crowd) is not int or crowd not in (0, 1):
            self._crowd(row, raw, changed)
        if mask.kind == NO_SEGMENTATION and (known := read_box(box)) is not None:  # without a box, `_box` reports it
            self._without_mask(row, raw, changed, known)
        box_is_right = _is_box(box)
        area_is_right = (type(area) is int or type(area) is float) and 0 <= area <= _MOST_PIXELS
        if not box_is_right or not area_is_right:
            rle = draw(mask.value, size) if mask.value is not None and size is not None else None
            if not box_is_right:
                self._box(row, raw, changed, mask, rle)
            if not area_is_right:
                self._area(row, raw, changed, rle)
        text = mask.value["counts"] if mask.compressed and mask.value else None
        return (raw | changed if changed else raw), text

    def _crowd(self, row: int, raw: Mapping[str, Any], changed: dict[str, Any]) -> None:
        given = raw.get("iscrowd")
        flag = 0 if given is None else read_flag(given)
        if given is None:
            self._add("missing_figure", row, raw, "iscrowd missing")
        elif flag is None:
            self._add("wrong_type", row, raw, f"iscrowd must be 0 or 1, found {describe(given)}")
        else:
            self._add("number_form", row, raw, f"iscrowd must be 0 or 1, found {describe(given)}")
        if flag is not None:
            changed["iscrowd"] = flag

    def _without_mask(self, row: int, raw: Mapping[str, Any], changed: dict[str, Any], box: list[float]) -> None:
        """An object of which only the box is known; of a crowd the box is the region to ignore."""
        if changed.get("iscrowd", raw.get("iscrowd")) == 1:
            changed["segmentation"] = [box_corners(box)]
            self._add("crowd_box", row, raw, "iscrowd is 1, and there is no segmentation")
        else:
            self._add("box_only", row, raw, "there is a bbox, and no segmentation")

    def _box(
        self, row: int, raw: Mapping[str, Any], changed: dict[str, Any], mask: Segmentation, rle: Rle | None
    ) -> None:
        given = raw.get("bbox")
        box = read_box(given)
        if box is not None:
            self._add("number_form", row, raw, f"bbox must be four numbers, found {describe(given)}")
            changed["bbox"] = box
            return
        if rle is not None:
            changed["bbox"] = list(tight_box(rle))
        if given is not None and given != []:
            message = f"bbox must be x, y, width and height in pixels, found {describe(given)}"
            self._add("wrong_type" if rle is None else "wrong_box", row, raw, message)
        elif rle is not None:
            self._add("missing_figure", row, raw, "bbox missing")
        elif mask.kind == NO_SEGMENTATION:  # other faults of a mask are reported already
            self._add("missing_key", row, raw, "neither segmentation nor bbox")

    def _area(self, row: int, raw: Mapping[str, Any], changed: dict[str, Any], rle: Rle | None) -> None:
        given = raw.get("area")
        number = as_number(given)
        if number is not None and number >= 0:
            self._add("number_form", row, raw, f"area must be a number, found {describe(given)}")
            changed["area"] = number
            return
        sides = read_box(changed.get("bbox", raw.get("bbox")))
        if rle is not None:
            changed["area"] = mask_area(rle)
        elif sides is not None:
            changed["area"] = float(sides[2] * sides[3])
        message = "area missing" if given is None else f"area must be a number, found {describe(given)}"
        self._add("missing_figure", row, raw, message)

    def _add(
        self, kind: str, row: int, raw: Mapping[str, Any], message: str, need: Need = "", other: int | None = None
    ) -> None:
        given = raw.get("id")
        label = f"annotations[{row}]" if given is None else f"annotation {describe_id(given)}"
        self.log.add(Issue(kind, "annotations", row, label, message, need, other))


def _is_box(box: Any) -> bool:
    """Whether it needs no correction: four finite numbers in a list, width and height 0 or more. A fast check."""
    if type(box) is not list or len(box) != 4 or not set(map(type, box)) <= _NUMBER_TYPES:
        return False
    try:
        return math.isfinite(sum(box)) and box[2] >= 0 and box[3] >= 0
    except OverflowError:
        return False


def describe_id(given: Any) -> str:
    """An id for a message: as it is if it is a number or a short text."""
    text = str(given) if isinstance(given, int | str) else shown(given)
    return text if len(text) <= 40 else f"{text[:39]}…"


def used_categories(rows: Sequence[tuple[int, dict[str, Any]]]) -> set[Id]:
    """The ids of classes that annotations have."""
    return {number for _, raw in rows if (number := read_id(raw.get("category_id"))) is not None}
