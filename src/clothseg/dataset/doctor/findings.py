"""What the doctor says: a `Finding` is one fault at one place, a `Kind` is what such faults mean and what to do."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

Section = Literal["", "categories", "images", "annotations"]


class Severity(IntEnum):
    """An error makes training or evaluation fail or go wrong; a warning is worth a look."""

    WARNING = 1
    ERROR = 2

    @property
    def word(self) -> str:
        """`error` or `warning`."""
        return self.name.lower()


@dataclass(frozen=True)
class Location:
    """Where: a file, one of its three lists, the row in it from 0, and ids as the file has them.

    Without a section it is the whole file. `photo` is the `file_name` of the image, where there is one.
    """

    file: str
    section: Section = ""
    row: int | None = None
    image_id: Any = None
    annotation_id: Any = None
    photo: str = ""

    def text(self) -> str:
        """`train.json, annotation 7, photo a.jpg`."""
        parts = [self.file.replace("\\", "/").rpartition("/")[2]]
        if self.section == "annotations" and self.annotation_id is not None:
            parts.append(f"annotation {_short(self.annotation_id)}")
        elif self.section == "images" and self.image_id is not None:
            parts.append(f"image {_short(self.image_id)}")
        elif self.section:
            parts.append(self.section if self.row is None else f"{self.section}[{self.row}]")
        if self.photo:
            parts.append(self.photo)
        return ", ".join(parts)


@dataclass(frozen=True)
class Finding:
    """One fault: its kind, its place, what is wrong in words, and the other party where it takes two."""

    kind: str
    place: Location
    words: str
    other: Location | None = None

    @property
    def severity(self) -> Severity:
        """Of its kind."""
        return KINDS[self.kind].severity

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        answer = {"severity": self.severity.word, "kind": self.kind, **_place(self.place), "words": self.words}
        return answer | ({"other": _place(self.other)} if self.other else {})


@dataclass(frozen=True)
class Kind:
    """What faults of one kind have in common: severity, what it is and why it matters, what to do."""

    severity: Severity
    meaning: str
    cure: str


def _place(place: Location) -> dict[str, Any]:
    return {
        "file": place.file,
        "list": place.section,
        "row": place.row,
        "image_id": place.image_id,
        "annotation_id": place.annotation_id,
        "photo": place.photo,
    }


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _error(meaning: str, cure: str) -> Kind:
    return Kind(Severity.ERROR, meaning, cure)


def _warning(meaning: str, cure: str) -> Kind:
    return Kind(Severity.WARNING, meaning, cure)


KINDS: dict[str, Kind] = {
    # the files
    "not_coco": _error("The file is no COCO instances file, or lacks one of its lists.", "Export it again."),
    "missing_key": _error("A row lacks what no reader can do without.", "Export it again, or take the row out."),
    "wrong_type": _error("A value is not what its key asks for.", "Correct the value."),
    "missing_figure": _warning(
        "bbox, area or iscrowd is not given; evaluators of other projects stop there.",
        "--write-clean fills them in from the mask.",
    ),
    "no_photos": _error("The file lists no photo.", "Export it again."),
    "no_annotations": _warning("The file has no annotation: there is nothing to learn or judge by.", "Add some."),
    # ids and references
    "id_not_whole": _error(
        "An id is a string or a fraction; loaders want whole numbers.", "--write-clean numbers anew."
    ),
    "category_below_one": _error(
        "A category has an id below 1; 0 is background, so its objects vanish.", "--write-clean numbers anew."
    ),
    "id_below_one": _warning(
        "An id is below 1; COCO's evaluator takes annotation 0 for no match.", "--write-clean numbers anew."
    ),
    "duplicate_id": _error(
        "An id is given twice: which of the two is meant stays open.",
        "Give each its own. --write-clean numbers annotations anew; it leaves out photos and classes that are unclear.",
    ),
    "unknown_image": _error(
        "An annotation belongs to a photo that is not in the file.", "Add the photo, or take it out."
    ),
    "unknown_category": _error("An annotation's category is not in the file.", "Add the category, or take it out."),
    # photos
    "missing_photo": _error("The photo is not there.", "Fetch it, or say with --images where photos are."),
    "unreadable_photo": _error("The photo cannot be decoded.", "Fetch it again."),
    "size_mismatch": _error(
        "The photo has another size than the JSON says, so masks lie beside their objects.",
        "Use the photos that were annotated, or resize the annotations with them.",
    ),
    "exif_rotation": _error(
        "The photo is turned by its EXIF tag, the masks are not: readers that heed the tag see them apart.",
        "Turn the photo's pixels or the masks and take the tag out.",
    ),
    "exif_unclear": _warning(
        "The photo is turned or mirrored by its EXIF tag, and sizes do not tell whether the masks are too.",
        "Look at it; then take the tag out.",
    ),
    "unsafe_name": _warning("file_name points outside the photos' folder.", "Use a name below the folder."),
    # masks
    "no_segmentation": _error("The annotation has no mask.", "Draw one, or take it out."),
    "broken_segmentation": _error("The segmentation is neither polygons nor RLE.", "Export it again."),
    "few_points": _error("A polygon has fewer than 3 points.", "--write-clean leaves that polygon out."),
    "broken_rle": _error("The run lengths cannot be read or do not fill the photo.", "Export it again."),
    "rle_size": _error("The RLE was made for another size than its photo's.", "Export it again at the photo's size."),
    "empty_mask": _error("The mask has no pixel.", "Draw it again, or take it out."),
    "mask_outside": _error("The mask lies outside the photo, whole or for the most part.", "Check scale and photo."),
    "mask_over_edge": _warning("The mask reaches over the photo's edge and is cut there.", "Usually harmless."),
    "duplicate_instance": _error(
        "One instance is annotated twice: found once, the other counts as missed.", "Keep one of the two."
    ),
    "one_mask_two_classes": _warning("Two classes have nearly the same mask.", "Decide for one of them."),
    "all_crowd": _error(
        "Every annotation is a crowd (iscrowd 1), so nothing is learned; often a converter's mistake with RLE.",
        "Set iscrowd to 0 if they are single objects.",
    ),
    # boxes and area
    "zero_box": _error("The box has no width or no height: losses become infinite.", "Take the box of the mask."),
    "box_outside": _warning("The box reaches outside the photo.", "Cut it at the edge."),
    "box_mask_mismatch": _error("Box and mask are of different places.", "Find out which one is right."),
    "loose_box": _warning("The box does not fit its mask closely.", "Take the box of the mask."),
    "wrong_area": _error(
        "area is not the number of the mask's pixels, so figures by size (small, medium, large) are wrong.",
        "--write-clean counts anew.",
    ),
    # splits
    "photo_in_two_splits": _error(
        "The same photo is in two splits: validation judges what training has seen.", "Keep it in one."
    ),
    "similar_photos": _warning(
        "Nearly the same photo is in two splits: validation may judge what training has seen.",
        "Keep both in one split.",
    ),
    "duplicate_photo": _warning("The same photo is in one split twice.", "Put its annotations together."),
    "class_name_case": _error(
        "Names of one class differ by case or blanks, so it counts as two.", "Write it one way. --write-clean does."
    ),
    "class_id_differs": _error(
        "A class has different ids in two files, or an id different classes: training and judging disagree.",
        "Number alike. --write-clean does.",
    ),
    "class_in_one_split": _warning("A class is listed in one file and not in another.", "List it in all."),
    # balance
    "class_imbalance": _warning(
        "One class has over 10 times the instances of another; the rare one is hardly learned.",
        "Add photos of the rare class, or show it more often.",
    ),
    "too_few_instances": _warning("A class has too few instances to be learned or judged.", "Add photos, or drop it."),
}
"""Every kind, in the order in which the doctor lists them."""
