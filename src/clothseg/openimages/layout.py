"""The places of the files in a folder of Open Images files, under their published names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clothseg.errors import DataError


@dataclass(frozen=True)
class SplitFiles:
    """The paths of one split in a folder of Open Images files.

    Attributes:
        source: the folder.
        split: `train`, `validation` or `test`.
        photos: folder of the photos.
        masks: list of masks.
        boxes: list of boxes.
        credits: list of photos and authors.
        photo_labels: list of the classes that people verified on whole photos; None if it is not needed or not there.
    """

    source: Path
    split: str
    photos: Path
    masks: Path
    boxes: Path
    credits: Path
    photo_labels: Path | None


def _first_existing(source: Path, names: Sequence[str], what: str) -> Path:
    for name in names:
        if (source / name).exists():
            return source / name
    raise DataError(f"{source / names[0]}: no such file; in the layout of Open Images V5 it is {what}")


def has_split(source: Path, split: str) -> bool:
    """Whether the folder has photos and a list of masks of this split."""
    return (source / split).is_dir() and (source / f"{split}-annotations-object-segmentation.csv").is_file()


def class_file(source: Path) -> Path:
    """The file of class names: that of V5, or else that of V7.

    Raises:
        DataError: it does not exist.
    """
    names = ["class-descriptions-boxable.csv", "oidv7-class-descriptions-boxable.csv"]
    return _first_existing(source, names, "the list of class names")


def hierarchy_file(source: Path) -> Path:
    """The file of the class tree.

    Raises:
        DataError: it does not exist.
    """
    return _first_existing(source, ["bbox_labels_600_hierarchy.json"], "the class tree")


def segmentable_file(source: Path) -> Path | None:
    """The list of the classes that can have masks; None if it does not exist."""
    path = source / "classes-segmentation.txt"
    return path if path.exists() else None


def mask_list(source: Path, split: str) -> Path:
    """The list of masks of a split.

    Raises:
        DataError: it does not exist.
    """
    return _first_existing(source, [f"{split}-annotations-object-segmentation.csv"], "the list of masks")


def box_list(source: Path, split: str) -> Path:
    """The list of boxes of a split: of V5, or else of V6.

    Raises:
        DataError: it does not exist.
    """
    names = [f"{split}-annotations-bbox.csv", f"oidv6-{split}-annotations-bbox.csv"]
    return _first_existing(source, names, "the list of boxes")


def photo_label_list(source: Path, split: str) -> Path | None:
    """The list of classes that people verified on the photos of a split; None if it does not exist."""
    path = source / f"{split}-annotations-human-imagelabels-boxable.csv"
    return path if path.is_file() else None


def split_files(source: Path, split: str, *, photo_labels: bool = False) -> SplitFiles:
    """The files of one split: `train`, `validation` or `test`; with `photo_labels` that list too, if it exists.

    Raises:
        DataError: one of them does not exist.
    """
    lists = [f"{split}-images-boxable-with-rotation.csv", f"{split}-images-with-rotation.csv"]
    return SplitFiles(
        source=source,
        split=split,
        photos=_first_existing(source, [split], f"the folder of {split} photos"),
        masks=mask_list(source, split),
        boxes=box_list(source, split),
        credits=_first_existing(source, lists if split == "train" else lists[::-1], "the list of photos and authors"),
        photo_labels=photo_label_list(source, split) if photo_labels else None,
    )
