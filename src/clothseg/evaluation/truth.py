"""The truth that detections are judged by: COCO instances, read, checked, and set right for the evaluators."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard

from clothseg.dataset import CocoLikeDataset
from clothseg.errors import DataError
from clothseg.evaluation.gc_pause import gc_paused
from clothseg.files import read_json
from clothseg.instances import broken_mask, from_segmentation, mask_area

Row = Mapping[str, Any]


@dataclass(frozen=True)
class GroundTruth:
    """COCO instances with what the evaluators need: annotation ids from 1, `iscrowd`, `area`, masks as RLE.

    Attributes:
        images: `id`, `height`, `width`.
        annotations: in the file's order.
        categories: `id`, `name`, by rising id.
        notes: what was set right and what a reader should know, as sentences.
    """

    images: Sequence[Row]
    annotations: Sequence[Row]
    categories: Sequence[Row]
    notes: tuple[str, ...] = ()

    @property
    def tree(self) -> dict[str, Any]:
        """As one COCO object."""
        return {"images": self.images, "annotations": self.annotations, "categories": self.categories}

    @cached_property
    def names(self) -> dict[int, str]:
        """Class names by category id, by rising id."""
        return {category["id"]: str(category["name"]) for category in self.categories}

    @cached_property
    def sizes(self) -> dict[int, tuple[int, int]]:
        """Height and width of each photo by its id."""
        return {image["id"]: (image["height"], image["width"]) for image in self.images}

    @cached_property
    def photos(self) -> list[int]:
        """Ids of the photos by rising id; a photo's position here is its number everywhere in the evaluation."""
        return sorted(self.sizes)

    @cached_property
    def objects(self) -> Counter[int]:
        """Objects of each category id, crowds not counted."""
        return Counter(a["category_id"] for a in self.annotations if not a["iscrowd"])

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits that two truths share when photos, classes, boxes and masks are the same."""
        rows = sorted(
            (a["image_id"], a["category_id"], a["iscrowd"], str(a.get("segmentation") or a.get("bbox")))
            for a in self.annotations
        )
        content = json.dumps([self.photos, list(self.names.items()), rows])
        return hashlib.sha256(content.encode()).hexdigest()[:12]


@gc_paused()
def read_truth(source: Path | Mapping[str, Any]) -> GroundTruth:
    """COCO instances from a file or as read from one.

    Raises:
        DataError: it is no such file, photos or classes stand twice, or an annotation names neither, or its mask
            cannot be read or has another size than its photo. The message names the annotation.
    """
    name = str(source) if isinstance(source, Path) else "the truth"
    tree = _read(source) if isinstance(source, Path) else source
    missing = [key for key in ("images", "annotations", "categories") if not isinstance(tree.get(key), list)]
    if missing:
        raise DataError(f"{name}: not COCO instances; it has no list of {', '.join(missing)}")
    try:
        images = [{key: _whole(row[key]) for key in ("id", "height", "width")} for row in tree["images"]]
        categories: list[dict[str, Any]] = [
            {"id": _whole(row["id"]), "name": str(row["name"])} for row in tree["categories"]
        ]
        categories.sort(key=lambda category: int(category["id"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{name}: every image needs a whole id, height and width, every category id and name ({error!r})"
        ) from error
    for what, values in (("image id", images), ("category id", categories)):
        _once(name, what, [row["id"] for row in values])
    _once(name, "category name", [row["name"] for row in categories])
    sizes = {row["id"]: (row["height"], row["width"]) for row in images}
    known = {row["id"] for row in categories}
    annotations = [_annotation(name, n, row, sizes, known) for n, row in enumerate(tree["annotations"], start=1)]
    masks = [n for n, row in enumerate(annotations) if "segmentation" in row]
    if broken := broken_mask([annotations[n]["segmentation"] for n in masks]):
        position = masks[broken[0]]
        raise DataError(f"{_label(name, position + 1, tree['annotations'][position])} has {broken[1]}")
    return GroundTruth(images, annotations, categories, _notes(tree["annotations"], annotations))


def truth_of(dataset: CocoLikeDataset) -> GroundTruth:
    """The truth of a prepared data set, as it is now.

    Raises:
        DataError: see `read_truth`.
    """
    return read_truth(
        {
            "images": [{"id": e.id, "height": e.height, "width": e.width} for e in dataset.images],
            "annotations": [{**row, "image_id": e.id} for e in dataset.images for row in e.annotations],
            "categories": [
                {"id": dataset.source_class_id(number), "name": name}
                for number, name in enumerate(dataset.classes, start=1)
            ],
        }
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        tree = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as COCO annotations ({error})") from error
    if not isinstance(tree, dict):
        raise DataError(f"{path}: COCO annotations are an object with images, annotations and categories")
    return tree


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _once(name: str, what: str, values: Sequence[Any]) -> None:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise DataError(f"{name}: {what} {twice[0]!r} is given twice; each needs its own")


def _annotation(
    name: str, number: int, row: Any, sizes: Mapping[int, tuple[int, int]], classes: set[int]
) -> dict[str, Any]:
    """One annotation under a new id: with 0 the evaluators' ancestor counts an object as never found."""
    if not isinstance(row, Mapping):
        raise DataError(f"{name}: annotation {number} is no object")
    label = _label(name, number, row)
    if row.get("image_id") not in sizes:
        raise DataError(f"{label} names photo {row.get('image_id')!r}, which is not there")
    if row.get("category_id") not in classes:
        raise DataError(f"{label} names class {row.get('category_id')!r}, which is not there")
    segmentation, box = row.get("segmentation"), row.get("bbox")
    if not segmentation and not box:
        raise DataError(f"{label} has neither segmentation nor bbox")
    answer = {"id": number, "image_id": row["image_id"], "category_id": row["category_id"]}
    answer |= {"iscrowd": int(row.get("iscrowd", 0) or 0), "area": row.get("area")}
    if usual_mask(segmentation, size := sizes[row["image_id"]]):
        answer["segmentation"] = segmentation
    elif segmentation:
        try:
            answer["segmentation"] = from_segmentation(segmentation, *size)
        except DataError as error:
            raise DataError(f"{label}: {error}") from error
    if box:
        answer["bbox"] = four_numbers(box)
        if answer["bbox"] is None:
            raise DataError(f"{label} has the box {box!r}; a box is x, y, width and height in pixels")
    if answer["area"] is None:
        width, height = answer["bbox"][2:] if box else (0, 0)
        answer["area"] = float(mask_area(answer["segmentation"])) if segmentation else float(width * height)
    return answer


def _label(name: str, number: int, row: Row) -> str:
    return f"{name}: annotation {row.get('id', f'number {number}')}"


def usual_mask(mask: Any, size: tuple[int, int]) -> bool:
    """Whether it is compressed RLE of `size` (height, width). That its runs fill it is checked for many at once."""
    return isinstance(mask, dict) and mask.get("size") == list(size) and isinstance(mask.get("counts"), str)


def four_numbers(box: Any) -> list[float] | None:
    """A box x, y, width, height with finite numbers and sides of 0 or more; None where it is something else."""
    if not isinstance(box, list | tuple) or len(box) != 4:
        return None
    for side in box:
        if not is_number(side):
            return None
    return list(box) if box[2] >= 0 and box[3] >= 0 else None


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _notes(given: Sequence[Row], cleaned: Sequence[Row]) -> tuple[str, ...]:
    notes = []
    ids = Counter(str(row["id"]) for row in given if "id" in row)
    shared = sum(count - 1 for count in ids.values())
    if shared:
        notes.append(f"{shared} annotations of the truth share their id with another; all were numbered anew.")
    empty = sum(1 for row in cleaned if row.get("segmentation") and not mask_area(row["segmentation"]))
    if empty:
        notes.append(f"{empty} objects of the truth have no pixel; nothing can find them.")
    return tuple(notes)
