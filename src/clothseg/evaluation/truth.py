"""The ground truth: COCO instances, read, checked, and completed for the evaluators."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from clothseg.errors import DataError
from clothseg.evaluation.gc_pause import gc_paused
from clothseg.files import read_json
from clothseg.instances import (
    CocoAnnotation,
    CocoCategory,
    CocoDataset,
    CocoImage,
    broken_mask,
    from_segmentation,
    mask_area,
)

if TYPE_CHECKING:
    from clothseg.dataset import CocoLikeDataset


@dataclass(frozen=True)
class GroundTruth:
    """COCO instances with all that the evaluators need: annotation ids from 1, `iscrowd`, `area`, masks as RLE.

    Attributes:
        images: in the file's order; `file_name` if the file has it.
        annotations: in the file's order.
        categories: by rising id.
        notes: sentences on what was corrected and what a reader should know.
    """

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]
    notes: tuple[str, ...] = ()

    @property
    def tree(self) -> CocoDataset:
        """The same as one COCO object."""
        return {"images": self.images, "annotations": self.annotations, "categories": self.categories}

    @cached_property
    def names(self) -> dict[int, str]:
        """Class names by category id, by rising id."""
        return {category["id"]: category["name"] for category in self.categories}

    @cached_property
    def sizes(self) -> dict[int, tuple[int, int]]:
        """Height and width of each photo by its id."""
        return {image["id"]: (image["height"], image["width"]) for image in self.images}

    @cached_property
    def photos(self) -> list[int]:
        """Ids of the photos by rising id; the evaluation numbers the photos by their position here."""
        return sorted(self.sizes)

    @cached_property
    def objects(self) -> Counter[int]:
        """Number of objects of each category id, crowds not counted."""
        return Counter(a["category_id"] for a in self.annotations if not a["iscrowd"])

    @cached_property
    def by_photo(self) -> dict[int, list[CocoAnnotation]]:
        """The annotations of each photo by its id; an empty list for a photo without annotations."""
        found: dict[int, list[CocoAnnotation]] = {image["id"]: [] for image in self.images}
        for annotation in self.annotations:
            found[annotation["image_id"]].append(annotation)
        return found

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits that are equal for equal photos, classes, boxes and masks."""
        rows = sorted(
            (a["image_id"], a["category_id"], a["iscrowd"], str(a.get("segmentation") or a.get("bbox")))
            for a in self.annotations
        )
        content = json.dumps([self.photos, list(self.names.items()), rows])
        return hashlib.sha256(content.encode()).hexdigest()[:12]


@gc_paused()
def read_truth(source: Path | Mapping[str, Any]) -> GroundTruth:
    """Reads COCO instances from a file, or checks parsed JSON.

    Raises:
        DataError: the file is not COCO instances, a photo or class occurs twice, or an annotation names an unknown
            photo or class, has a broken mask or a mask of another size than its photo. The message names the
            annotation.
    """
    name = str(source) if isinstance(source, Path) else "the ground truth"
    tree = _read(source) if isinstance(source, Path) else source
    missing = [key for key in ("images", "annotations", "categories") if not isinstance(tree.get(key), list)]
    if missing:
        raise DataError(f"{name}: not COCO instances; it has no list of {', '.join(missing)}")
    try:
        images = [_image(row) for row in tree["images"]]
        categories: list[CocoCategory] = [
            {"id": _whole(row["id"]), "name": str(row["name"])} for row in tree["categories"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{name}: every image needs id, height and width (whole numbers), every category id and name ({error!r})"
        ) from error
    categories.sort(key=lambda category: category["id"])
    _refuse_duplicates(name, "image id", [image["id"] for image in images])
    _refuse_duplicates(name, "category id", [category["id"] for category in categories])
    _refuse_duplicates(name, "category name", [category["name"] for category in categories])
    sizes = {image["id"]: (image["height"], image["width"]) for image in images}
    known = {category["id"] for category in categories}
    annotations = [_annotation(name, n, row, sizes, known) for n, row in enumerate(tree["annotations"], start=1)]
    masks = [n for n, row in enumerate(annotations) if "segmentation" in row]
    if broken := broken_mask([annotations[n]["segmentation"] for n in masks]):
        position = masks[broken[0]]
        raise DataError(f"{_label(name, position + 1, tree['annotations'][position])} has {broken[1]}")
    return GroundTruth(images, annotations, categories, _notes(tree["annotations"], annotations))


def truth_of(dataset: "CocoLikeDataset") -> GroundTruth:
    """The ground truth of a prepared dataset, with the photos that it has now.

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


def _image(row: Mapping[str, Any]) -> CocoImage:
    image: CocoImage = {"id": _whole(row["id"]), "height": _whole(row["height"]), "width": _whole(row["width"])}
    if "file_name" in row:
        image["file_name"] = str(row["file_name"])
    return image


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _refuse_duplicates(name: str, what: str, values: Sequence[Any]) -> None:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise DataError(f"{name}: {what} {twice[0]!r} occurs twice; each must be unique")


def _annotation(
    name: str, number: int, row: Any, sizes: Mapping[int, tuple[int, int]], classes: set[int]
) -> CocoAnnotation:
    """One annotation with a new id from 1: pycocotools counts an object with id 0 as never found."""
    if not isinstance(row, Mapping):
        raise DataError(f"{name}: annotation {number} is not an object with image_id and category_id")
    label = _label(name, number, row)
    if row.get("image_id") not in sizes:
        raise DataError(f"{label} names photo {row.get('image_id')!r}, which is not among the images")
    if row.get("category_id") not in classes:
        raise DataError(f"{label} names class {row.get('category_id')!r}, which is not among the categories")
    segmentation, box = row.get("segmentation"), row.get("bbox")
    if not segmentation and not box:
        raise DataError(f"{label} has neither segmentation nor bbox")
    answer: CocoAnnotation = {"id": number, "image_id": row["image_id"], "category_id": row["category_id"]}
    answer["iscrowd"] = int(row.get("iscrowd", 0) or 0)
    if is_standard_rle(segmentation, size := sizes[row["image_id"]]):
        answer["segmentation"] = segmentation
    elif segmentation:
        try:
            answer["segmentation"] = from_segmentation(segmentation, *size)
        except DataError as error:
            raise DataError(f"{label}: {error}") from error
    if box:
        sides = parse_box(box)
        if sides is None:
            raise DataError(f"{label} has the box {box!r}; a box is x, y, width and height in pixels")
        answer["bbox"] = sides
    area = row.get("area")
    answer["area"] = _area(answer) if area is None else area
    return answer


def _area(annotation: CocoAnnotation) -> float:
    """The pixels of the mask, or of the box if there is no mask."""
    if "segmentation" in annotation:
        return float(mask_area(annotation["segmentation"]))
    width, height = annotation["bbox"][2:]
    return float(width * height)


def _label(name: str, number: int, row: Mapping[str, Any]) -> str:
    return f"{name}: annotation {row.get('id', f'number {number}')}"


def is_standard_rle(mask: Any, size: tuple[int, int]) -> bool:
    """Whether it is compressed RLE of `size` (height, width). Whether its runs fill it, `broken_mask` checks."""
    return isinstance(mask, dict) and mask.get("size") == list(size) and isinstance(mask.get("counts"), str)


def parse_box(box: Any) -> list[float] | None:
    """A box x, y, width, height of finite numbers, width and height 0 or more; None if it is something else."""
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
    except OverflowError:  # a whole number that no float can hold
        return False


def _notes(given: Sequence[Mapping[str, Any]], checked: Sequence[CocoAnnotation]) -> tuple[str, ...]:
    notes = []
    ids = Counter(str(row["id"]) for row in given if "id" in row)
    shared = sum(count - 1 for count in ids.values())
    if shared:
        notes.append(f"{shared} annotations of the ground truth have the id of another; all were numbered again.")
    empty = sum(1 for row in checked if row.get("segmentation") and not mask_area(row["segmentation"]))
    if empty:
        notes.append(f"{empty} objects of the ground truth have a mask without pixels; no detection can match them.")
    return tuple(notes)
