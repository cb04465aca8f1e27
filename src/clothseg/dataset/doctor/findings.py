"""`Finding`: one fault at one location. `Kind`: what faults of this kind mean, and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from clothseg.dataset.reading.issues import Section
from clothseg.errors import shown


class Severity(IntEnum):
    """An error makes training or evaluation fail or give wrong results. A warning should be checked."""

    WARNING = 1
    ERROR = 2

    @property
    def word(self) -> str:
        """`error` or `warning`."""
        return self.name.lower()


@dataclass(frozen=True)
class Location:
    """The place of a fault: a file, one of its three lists (`section`), the row from 0, and ids as in the file.

    Without a section it is the whole file. `photo` is the `file_name` of the image, if there is one. `short` names the
    file in texts, where its own name is not enough; see `short_names`.
    """

    file: str
    section: Section = ""
    row: int | None = None
    image_id: Any = None
    annotation_id: Any = None
    photo: str = ""
    short: str = ""

    def text(self) -> str:
        """For example `train.json, annotation 7, a.jpg`."""
        parts = [self.short or self.file.replace("\\", "/").rpartition("/")[2]]
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
    """One fault: its kind, its location, a text (`message`), and the second location if there are two."""

    kind: str
    location: Location
    message: str
    other: Location | None = None

    @property
    def severity(self) -> Severity:
        """The severity of its kind."""
        return KINDS[self.kind].severity

    def as_dict(self) -> dict[str, Any]:
        """The finding as a dictionary for JSON."""
        answer = {
            "severity": self.severity.word,
            "kind": self.kind,
            **_location_dict(self.location),
            "message": self.message,
        }
        return answer | ({"other": _location_dict(self.other)} if self.other else {})


@dataclass(frozen=True)
class Kind:
    """Facts about all faults of one kind: the severity, what it is and why it matters, and what to do."""

    severity: Severity
    meaning: str
    cure: str


def short_names(files: Sequence[Path]) -> dict[Path, str]:
    """The name of each file, with as many folders as tell files of one name apart: `train/_annotations.coco.json`."""
    parts = {file: file.parts for file in files}
    return {
        file: next(
            "/".join(own[-length:])
            for length in range(1, len(own) + 1)
            if length == len(own) or sum(other[-length:] == own[-length:] for other in parts.values()) == 1
        )
        for file, own in parts.items()
    }


def _location_dict(location: Location) -> dict[str, Any]:
    return {
        "file": location.file,
        "list": location.section,
        "row": location.row,
        "image_id": location.image_id,
        "annotation_id": location.annotation_id,
        "photo": location.photo,
    }


def _short(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _error(meaning: str, cure: str) -> Kind:
    return Kind(Severity.ERROR, meaning, cure)


def _warning(meaning: str, cure: str) -> Kind:
    return Kind(Severity.WARNING, meaning, cure)


KINDS: dict[str, Kind] = {
    # the files
    "not_coco": _error("This is not a COCO instances file, or one of its lists is missing.", "Export it again."),
    "missing_key": _error(
        "An entry has no id, name, size, image or category.", "Export the file again, or remove the entry."
    ),
    "wrong_type": _error("A value has the wrong type or is impossible.", "Correct the value."),
    "number_form": _warning(
        "A number is written as text or float, or a flag as a word. Many loaders fail on it.",
        "--write-clean writes numbers.",
    ),
    "missing_figure": _warning(
        "bbox, area or iscrowd is missing. COCO's own evaluator needs them.",
        "--write-clean computes them from the mask.",
    ),
    "null_row": _warning("A row of a list is null. It is left out.", "--write-clean removes it."),
    "repeated_row": _warning("A photo or class is in its list twice, with the same id.", "--write-clean removes it."),
    "no_photos": _error("The file has no photos.", "Export it again."),
    "no_annotations": _warning("The file has no annotations.", "Add some, unless this is a test set without them."),
    # ids, references and names
    "id_not_whole": _warning(
        "An id is a string or a float. Many loaders need integers.", "--write-clean assigns new ids."
    ),
    "classes_from_zero": _warning(
        "Class ids are counted from 0, like everything in this file. Many trainers use 0 for background.",
        "--write-clean counts from 1.",
    ),
    "category_below_one": _error(
        "A category has an id below 1. Most trainers use 0 for background, so the class is lost.",
        "--write-clean assigns new ids.",
    ),
    "id_below_one": _warning(
        "The id of a photo or annotation is below 1. COCO's evaluator reads annotation 0 as no match.",
        "--write-clean assigns new ids.",
    ),
    "no_own_id": _warning(
        "An annotation has no id, or that of another. COCO's own tools lose one of the two.",
        "--write-clean assigns new ids.",
    ),
    "duplicate_id": _error(
        "Two photos or two classes have the same id, so references to it are ambiguous.",
        "Give each its own id. --write-clean removes both.",
    ),
    "unknown_image": _error(
        "An annotation refers to a photo that is not in the file.", "Add the photo, or remove the annotation."
    ),
    "unknown_category": _error(
        "An annotation refers to a category that is not in the file.", "Add the category, or remove the annotation."
    ),
    "class_name_spaces": _warning(
        "A class name has spaces at its ends, or line breaks.", "--write-clean removes them."
    ),
    "class_name_twice": _error(
        "Two classes of one file have the same name.", "Rename one. --write-clean makes them one class."
    ),
    "unused_root_class": _warning(
        "A class only groups the others (Roboflow), or stands for background, and has no annotation. It is left out.",
        "--write-clean removes it.",
    ),
    # photos
    "missing_photo": _error("The photo file does not exist.", "Copy it there, or give its folder with --images."),
    "unreadable_photo": _error("The photo cannot be decoded.", "Download or copy it again."),
    "size_mismatch": _error(
        "The photo and the JSON have different sizes, so masks do not fit their objects.",
        "Use the photos that were annotated, or resize the annotations too.",
    ),
    "exif_rotation": _error(
        "The EXIF tag turns the photo by 90 degrees, but not its masks.",
        "Rotate the pixels or the masks, and remove the tag.",
    ),
    "exif_unclear": _warning(
        "The EXIF tag turns or mirrors the photo. The size does not show whether the masks follow it.",
        "Look at the photo with its masks, then remove the tag.",
    ),
    "photo_name": _warning(
        "The photo is in another folder, or its name is written in another way. It was found all the same.",
        "--write-clean writes names that fit.",
    ),
    "size_from_photo": _warning(
        "The size of the photo is missing or impossible. That of the file is used.", "--write-clean writes it."
    ),
    "unsafe_name": _warning(
        "file_name is an absolute path or leads out of the photos' folder.", "Use a path inside the folder."
    ),
    # masks
    "box_only": _warning(
        "Objects have a box and no mask. clothseg learns class and box from them; many other trainers fail on them.",
        "Fine if it is meant; else draw their masks.",
    ),
    "crowd_box": _warning(
        "A crowd (iscrowd 1) has a box and no mask. The area of the box is ignored.", "--write-clean writes that area."
    ),
    "broken_segmentation": _error("The segmentation is neither polygons nor RLE.", "Export it again."),
    "polygon_dropped": _warning(
        "One of several polygons has fewer than 3 different points. It is left out.", "--write-clean removes it."
    ),
    "two_corners": _warning(
        "A rectangle is written as two corners, as labelme's converter does. Most trainers cannot read it.",
        "--write-clean writes its four corners.",
    ),
    "few_points": _error("No polygon has 3 different points.", "Draw it again, or remove the annotation."),
    "broken_rle": _error("The run lengths cannot be read or do not fill the photo.", "Export the mask again."),
    "rle_size": _error("The RLE has another size than its photo.", "Export it again at the photo's size."),
    "empty_mask": _error("The mask has no pixels.", "Draw it again, or remove the annotation."),
    "mask_outside": _error(
        "More than half of the mask is outside the photo.", "Check the scale, and whether it is the right photo."
    ),
    "mask_over_edge": _warning("The mask reaches over the edge of the photo. It is clipped.", "Usually harmless."),
    "duplicate_instance": _error(
        "One object is annotated twice. A correct detection then leaves one annotation unmatched.",
        "Keep one of the two.",
    ),
    "one_mask_two_classes": _warning("Two classes have nearly the same mask.", "Decide which class is right."),
    "all_crowd": _error(
        "Every annotation is a crowd (iscrowd 1), so nothing is learned. Some converters set this by mistake.",
        "Set iscrowd to 0 for single objects.",
    ),
    # boxes and area
    "wrong_box": _warning("The box is not four numbers. That of the mask is used.", "--write-clean writes it."),
    "zero_box": _error(
        "The box has no width or height. Box losses of other trainers become infinite.",
        "--write-clean computes it from the mask; an object without a mask is removed.",
    ),
    "box_off_photo": _error(
        "More than half of the box of an object without a mask is outside the photo.",
        "Check the scale, and whether it is the right photo.",
    ),
    "box_outside": _warning("The box reaches outside the photo.", "Clip it at the edge."),
    "box_mask_mismatch": _error("Box and mask are in different places.", "Find out which one is right."),
    "loose_box": _warning("The box does not fit its mask closely.", "Use the mask's tight box."),
    "wrong_area": _warning(
        "area is not the number of the mask's pixels, so metrics by size (small, medium, large) are wrong.",
        "--write-clean corrects it.",
    ),
    # splits
    "photo_in_two_splits": _error(
        "The same photo is in two splits, so validation sees training data.", "Remove it from one split."
    ),
    "similar_photos": _warning(
        "Similar photos are in two splits, so validation may see training data.", "Put both into one split."
    ),
    "duplicate_photo": _warning("The same photo is twice in one split.", "Merge its annotations."),
    "class_name_case": _error(
        "Names of one class differ only in case or spaces, so they count as two classes.",
        "Use one spelling. --write-clean does it.",
    ),
    "class_id_differs": _error(
        "A class has different ids in two files, or an id has different classes. Evaluation is then wrong.",
        "Use the same ids in all files. --write-clean does it.",
    ),
    "class_in_one_split": _warning("A class is listed in one file, but not in another.", "List it in all files."),
    # balance
    "class_imbalance": _warning(
        "One class has more than 10 times the instances of another. The rare class is hardly learned.",
        "Add photos of the rare class, or set train.repeat_threshold.",
    ),
    "too_few_instances": _warning(
        "A class has too few instances for training or evaluation.", "Add photos, or remove the class."
    ),
}
"""Every kind, in the order of the doctor's lists."""
