"""The photos of a dataset with their masks, and a copy of each file."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clothseg.dataset.coco import CocoLikeDataset, ImageEntry
from clothseg.errors import PhotoError
from clothseg.files import OutputNames
from clothseg.instances import Rle, empty_rle, from_segmentation, is_box_only, mask_area
from clothseg.photos import SUFFIXES, check_photo, open_picture, photo_exists


@dataclass(frozen=True)
class ExportObject:
    """An object.

    Attributes:
        category: its class, 1..K in the order of the dataset.
        mask: without a pixel if only the box is known.
        crowd: whether it is a crowd.
        box: x, y, width, height in pixels, if only the box is known.
    """

    category: int
    mask: Rle
    crowd: bool
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class ExportPhoto:
    """A photo: its path, a name that is unique in the export, its size (height, width) in pixels, its objects."""

    path: Path
    name: str
    size: tuple[int, int]
    objects: list[ExportObject]


class Losses:
    """Counts what a format cannot hold, and lists faults of the dataset."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.failed: list[str] = []

    def fault(self, loss: str, text: str) -> None:
        """Counts a fault of the dataset and keeps its description."""
        self.counts[loss] += 1
        self.failed.append(text)


def photos_of(dataset: CocoLikeDataset, names: OutputNames, losses: Losses) -> Iterator[ExportPhoto]:
    """The photos of a dataset, one after another.

    Photos that cannot be read or do not fit their annotations, and masks without a pixel, are left out and counted.
    """
    for entry in dataset.images:
        if not photo_exists(entry.path):
            losses.fault("missing_photos", f"{entry.path}: no such photo")
            continue
        try:
            check_photo(entry.path, (entry.height, entry.width))
        except PhotoError as error:
            losses.fault("unreadable_photos", str(error))
            continue
        objects = list(_objects(dataset, entry, losses))
        stem, suffix = _stem_and_suffix(entry.path)
        name = names.name(stem) + suffix  # label files have the stem, so that is unique
        yield ExportPhoto(entry.path, name, (entry.height, entry.width), objects)


def _stem_and_suffix(path: Path) -> tuple[str, str]:
    """The name of a photo in two parts. Without a photo's suffix it gets that of its format: tools find it by this."""
    if path.suffix.lower() in SUFFIXES:
        return path.stem, path.suffix
    with open_picture(path) as picture:
        form = str(picture.format).lower()
    return path.name, {"jpeg": ".jpg", "tiff": ".tif", "jpeg2000": ".jp2"}.get(form, f".{form}")


def _objects(dataset: CocoLikeDataset, entry: ImageEntry, losses: Losses) -> Iterator[ExportObject]:
    size = (entry.height, entry.width)
    for row in entry.annotations:
        category = dataset.map_source_class_id(row["category_id"])
        if is_box_only(row):
            x, y, width, height = row["bbox"]
            yield ExportObject(category, empty_rle(size), False, (x, y, width, height))
            continue
        mask = from_segmentation(row["segmentation"], *size)
        if not mask_area(mask):
            losses.counts["empty_objects"] += 1
            continue
        yield ExportObject(category, mask, bool(row.get("iscrowd", 0)))


def copy_photo(photo: ExportPhoto, folder: Path, *, hard_link: bool) -> None:
    """Copies the file of a photo into a folder, or links it if that is asked for and possible."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / photo.name
    if hard_link:
        try:
            os.link(photo.path.resolve(), target)
        except OSError:  # another file system
            shutil.copyfile(photo.path, target)
    else:
        shutil.copyfile(photo.path, target)
