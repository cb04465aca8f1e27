"""The files of a dataset: a COCO file for each split, `dataset.yaml`, and the table of boxes without a mask."""

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired

from clothseg.dataset.coco_writer import write_coco
from clothseg.files import atomic_file, atomic_write
from clothseg.instances import CocoCategory, CocoImage
from clothseg.openimages.build.assemble import DatasetPlan, PlannedPhoto
from clothseg.openimages.build.plan import SplitSource
from clothseg.openimages.build.summary import BOXES_WITHOUT_MASK, BuildSummary, describe
from clothseg.openimages.build.work_folder import read_chunk
from clothseg.openimages.classes import ClassName
from clothseg.openimages.layout import class_file
from clothseg.openimages.tables import FLAGS, PhotoCredit

_LICENSE_NAMES = {
    "https://creativecommons.org/licenses/by/2.0/": "CC BY 2.0",
    "https://www.apache.org/licenses/LICENSE-2.0": "Apache License 2.0",
}
_NO_CREDIT = PhotoCredit(author="", license="", source_url="")


class OpenImagesCategory(CocoCategory):
    """A category with the class id of Open Images."""

    mid: str


class OpenImagesImage(CocoImage):
    """A photo with its credit. `license` is an id of the list `licenses`; `changed` says what was done to the photo."""

    open_images_id: str
    author: str
    source_url: str
    changed: NotRequired[list[str]]


def write_dataset(
    folder: Path,
    plan: DatasetPlan,
    summary: BuildSummary,
    *,
    sources: Sequence[SplitSource],
    classes: Sequence[ClassName],
    options: Mapping[str, Any],
) -> None:
    """Writes everything except the photos, which are in `images/` already, and removes photos that are left over.

    Annotations go from the chunks directly into the COCO files, so memory does not grow with their number.

    Args:
        folder: the folder of the new dataset.
        plan: photos and chunks.
        summary: for `dataset.yaml`.
        sources: the splits; `dataset.yaml` has checksums of their tables.
        classes: in the order of their category ids.
        options: the user's options, for `dataset.yaml`.
    """
    credit = {k: v for source in sources for k, v in source.credit.items()}
    urls = sorted({credit.get(i, _NO_CREDIT).license for found in plan.photos.values() for i in found})
    licenses = [
        {"id": n, "name": _LICENSE_NAMES.get(u, u) or "not stated", "url": u} for n, u in enumerate(urls, start=1)
    ]
    categories = [
        OpenImagesCategory(id=number, name=c.name, supercategory="", mid=c.mid)
        for number, c in enumerate(classes, start=1)
    ]
    for split, photos in plan.photos.items():
        write_coco(
            folder / "annotations" / f"{split}.json",
            info={"description": f"{', '.join(summary.classes)} from Open Images masks: {split}"},
            licenses=licenses,
            categories=categories,
            images=_images(photos, credit, urls),
            annotations=_annotations(plan, photos),
        )
    tables = _tables(sources)
    _write_boxes_without_mask(folder / BOXES_WITHOUT_MASK, summary)
    atomic_write(folder / "dataset.yaml", describe(summary, tables, categories, options))
    used = {f"{image_id}.jpg" for photos in plan.photos.values() for image_id in photos}
    for path in (folder / "images").iterdir():
        if path.name not in used:
            path.unlink()


def _images(
    photos: Mapping[str, PlannedPhoto], credit: Mapping[str, PhotoCredit], licenses: Sequence[str]
) -> Iterator[OpenImagesImage]:
    for number, photo in enumerate(photos.values(), start=1):
        photo_credit = credit.get(photo.image_id, _NO_CREDIT)
        image: OpenImagesImage = {
            "id": number,
            "file_name": f"{photo.image_id}.jpg",
            "width": photo.width,
            "height": photo.height,
            "license": licenses.index(photo_credit.license) + 1,
            "open_images_id": photo.image_id,
            "author": photo_credit.author,
            "source_url": photo_credit.source_url,
        }
        if photo.changed:
            image["changed"] = list(photo.changed)
        yield image


def _annotations(plan: DatasetPlan, photos: Mapping[str, PlannedPhoto]) -> Iterator[dict[str, Any]]:
    numbers = {image_id: number for number, image_id in enumerate(photos, start=1)}
    number = 0
    for _, path in plan.chunks:
        for photo in read_chunk(path):
            if photo.image_id not in numbers:
                continue
            for annotation in photo.annotations:
                number += 1
                yield {"id": number, "image_id": numbers[photo.image_id], **annotation}


def _write_boxes_without_mask(path: Path, summary: BuildSummary) -> None:
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["Split", "ImageID", "Class", "XMin", "YMin", "XMax", "YMax", *FLAGS, "PhotoKept"])
        for box in summary.boxes_without_mask:
            table.writerow([box.split, box.image_id, box.class_name, *box.box, *box.flags, int(box.kept)])


def _tables(sources: Sequence[SplitSource]) -> dict[str, Any]:
    """The tables by name and checksum. The path of the folder on this machine is not recorded."""
    source = sources[0].files.source
    files = [s.files for s in sources]
    tables = [
        class_file(source),
        *(path for f in files for path in (f.masks, f.boxes, f.credits, f.photo_labels) if path),
    ]
    return {
        "folder": source.resolve().name,
        "splits": [f.split for f in files],
        "tables": [{"file": path.name, "sha256": _sha256(path)} for path in tables],
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
