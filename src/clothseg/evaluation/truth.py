"""The ground truth: COCO instances, read, checked, and completed for the evaluators."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from clothseg.dataset.reading import Correction, read_coco_file
from clothseg.dataset.reading.layout import usual_folders
from clothseg.errors import DataError
from clothseg.files import is_finite_number
from clothseg.gc_pause import gc_paused
from clothseg.instances import (
    CocoAnnotation,
    CocoCategory,
    CocoDataset,
    CocoImage,
    from_box,
    from_segmentation,
    is_box_only,
    mask_area,
)

if TYPE_CHECKING:
    from clothseg.dataset import CocoLikeDataset

_WITHOUT_NOTE = {"missing_figure", "box_only"}  # one changes no metric, the other has a note of its own


@dataclass(frozen=True)
class GroundTruth:
    """COCO instances with all that the evaluators need: annotation ids from 1, `iscrowd`, `area`, masks as RLE.

    Attributes:
        images: in the file's order; `file_name` if the file has it.
        annotations: in the file's order.
        categories: by rising id.
        notes: sentences on what was corrected and what a reader should know.
        paths: of the photos by their ids; empty if they are not known.
        corrections: what the reader of the file corrected or left out.
        source: the file.
    """

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]
    notes: tuple[str, ...] = ()
    paths: Mapping[int, Path] = field(default_factory=dict)
    corrections: tuple[Correction, ...] = ()
    source: Path | None = None

    def only(self, image_ids: Collection[int]) -> "GroundTruth":
        """The same ground truth with only these photos, for example one side of a split."""
        return replace(
            self,
            images=[image for image in self.images if image["id"] in image_ids],
            annotations=[row for row in self.annotations if row["image_id"] in image_ids],
        )

    def photo_path(self, image: CocoImage, folder: Path) -> Path:
        """Where the photo is; in `folder` if nothing else is known."""
        return self.paths.get(image["id"]) or folder / str(image.get("file_name", image["id"]))

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
    def box_only(self) -> int:
        """Number of objects that have a box and no mask. They are judged for boxes only."""
        return sum(is_box_only(a) and not a["iscrowd"] for a in self.annotations)

    @property
    def has_masks(self) -> bool:
        """Whether mask metrics make sense: some object has a mask, or there is no object."""
        return not self.box_only or self.box_only < sum(self.objects.values())

    @cached_property
    def for_masks(self) -> "GroundTruth":
        """The ground truth that masks are judged by; for boxes it is this one.

        An object without a mask becomes a crowd that fills its box: it is not missed, and detections of its class that
        lie in the box by half (or whatever share the IoU threshold asks for) are neither right nor wrong.
        """
        return replace(self, annotations=[self._for_masks(row) for row in self.annotations]) if self.box_only else self

    def _for_masks(self, row: CocoAnnotation) -> CocoAnnotation:
        if not is_box_only(row) or row["iscrowd"]:
            return row
        mask = from_box(row["bbox"], self.sizes[row["image_id"]])
        return cast(CocoAnnotation, {**row, "iscrowd": 1, "segmentation": mask})

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
def read_truth(source: Path | Mapping[str, Any], photos: Sequence[Path] | None = None) -> GroundTruth:
    """Reads COCO instances from a file, or checks parsed JSON. Neither photos nor masks are needed.

    Args:
        source: the file or the JSON.
        photos: folders with the photos; by default the usual folders near the file.

    Raises:
        DataError: the file is not COCO instances, or has a row that cannot be used; see `dataset.reading.RULES`. The
            message names the row.
    """
    if photos is None:
        photos = usual_folders(source) if isinstance(source, Path) else ()
    file = read_coco_file(source, photos, needs=())
    truth = _complete(file.images, file.annotations, file.categories, file.corrections, file.paths)
    return replace(truth, source=source if isinstance(source, Path) else None)


@gc_paused()
def truth_of(dataset: "CocoLikeDataset") -> GroundTruth:
    """The ground truth of a prepared dataset, with the photos that it has now.

    Raises:
        DataError: a mask cannot be read. The message names the annotation.
    """
    return _complete(
        [{"id": e.id, "height": e.height, "width": e.width} for e in dataset.images],
        [cast(CocoAnnotation, {**row, "image_id": e.id}) for e in dataset.images for row in e.annotations],
        [{"id": dataset.source_class_id(number), "name": name} for number, name in enumerate(dataset.classes, start=1)],
        dataset.corrections,
        {e.id: e.path for e in dataset.images},
    )


def _complete(
    images: Sequence[CocoImage],
    annotations: Sequence[CocoAnnotation],
    categories: Sequence[CocoCategory],
    corrections: Sequence[Correction],
    paths: Mapping[int, Path],
) -> GroundTruth:
    """Rows in the standard form, with annotation ids from 1, masks as RLE, scores if they have any."""
    sizes = {image["id"]: (image["height"], image["width"]) for image in images}
    rows = [_annotation(n, row, sizes[row["image_id"]]) for n, row in enumerate(annotations, start=1)]
    notes = [f"Corrected in the ground truth: {c.text()}." for c in corrections if c.kind not in _WITHOUT_NOTE]
    if empty := sum(1 for row in rows if "segmentation" in row and not mask_area(row["segmentation"])):
        notes.append(f"Objects of the ground truth whose mask has no pixel: {empty}; no detection can match them.")
    return GroundTruth(
        [_image(image) for image in images],
        rows,
        sorted(({"id": c["id"], "name": c["name"]} for c in categories), key=lambda category: category["id"]),
        tuple(notes),
        paths,
        tuple(corrections),
    )


def _image(row: CocoImage) -> CocoImage:
    image: CocoImage = {"id": row["id"], "height": row["height"], "width": row["width"]}
    if "file_name" in row:
        image["file_name"] = str(row["file_name"])
    return image


def _annotation(number: int, row: CocoAnnotation, size: tuple[int, int]) -> CocoAnnotation:
    """One annotation with a new id from 1: pycocotools counts an object with id 0 as never found."""
    answer: CocoAnnotation = {"id": number, "image_id": row["image_id"], "category_id": row["category_id"]}
    answer["iscrowd"] = row.get("iscrowd", 0)
    segmentation, box = row.get("segmentation"), row.get("bbox")
    if is_standard_rle(segmentation, size):
        answer["segmentation"] = segmentation
    elif segmentation:
        try:
            answer["segmentation"] = from_segmentation(segmentation, *size)
        except DataError as error:
            raise DataError(f"annotation {row.get('id')}: {error}") from error
    if box:
        answer["bbox"] = list(box)
    if is_finite_number(score := row.get("score")):
        answer["score"] = float(score)
    area = row.get("area")
    answer["area"] = _area(answer) if area is None else area
    return answer


def _area(annotation: CocoAnnotation) -> float:
    """The pixels of the mask, or of the box if there is no mask."""
    if "segmentation" in annotation:
        return float(mask_area(annotation["segmentation"]))
    width, height = annotation["bbox"][2:]
    return float(width * height)


def is_standard_rle(mask: Any, size: tuple[int, int]) -> bool:
    """Whether it is compressed RLE of `size` (height, width). Whether its runs fill it, `broken_mask` checks."""
    return isinstance(mask, dict) and mask.get("size") == list(size) and isinstance(mask.get("counts"), str)


def parse_box(box: Any) -> list[float] | None:
    """A box x, y, width, height of finite numbers, width and height 0 or more; None if it is something else."""
    if not isinstance(box, list | tuple) or len(box) != 4:
        return None
    for side in box:
        if not is_finite_number(side):
            return None
    return list(box) if box[2] >= 0 and box[3] >= 0 else None
