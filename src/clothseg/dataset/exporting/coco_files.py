"""COCO: `images/` and `annotations/SPLIT.json`. Source: https://cocodataset.org/#format-data."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from clothseg.dataset.coco_writer import write_coco
from clothseg.dataset.exporting.options import ExportOptions
from clothseg.dataset.exporting.outlines import polygons_of
from clothseg.dataset.exporting.photos import ExportObject, ExportPhoto, Losses, copy_photo
from clothseg.instances import CocoCategory, CocoImage, mask_area, tight_box


def write_coco_split(
    folder: Path, split: str, photos: Iterable[ExportPhoto], classes: Sequence[str], options: ExportOptions,
    losses: Losses,
) -> tuple[int, int]:  # fmt: skip
    """Writes one split. Crowds stay RLE, and boxes stay boxes. Returns the numbers of photos and objects."""
    taken: list[ExportPhoto] = []
    for photo in photos:
        copy_photo(photo, folder / "images", hard_link=options.hard_links)
        taken.append(photo)
    images: list[CocoImage] = [
        {"id": number, "file_name": photo.name, "width": photo.size[1], "height": photo.size[0]}
        for number, photo in enumerate(taken, start=1)
    ]
    write_coco(
        folder / "annotations" / f"{split}.json",
        info={"description": split},
        categories=[CocoCategory(id=n, name=name, supercategory="") for n, name in enumerate(classes, start=1)],
        images=images,
        annotations=_annotations(taken, options, losses),
    )
    return len(taken), sum(len(photo.objects) for photo in taken)


def _annotations(photos: Iterable[ExportPhoto], options: ExportOptions, losses: Losses) -> Iterator[dict[str, Any]]:
    count = 0
    for number, photo in enumerate(photos, start=1):
        for found in photo.objects:
            count += 1
            yield {"id": count, "image_id": number, "category_id": found.category, **_shape(found, options, losses)}


def _shape(found: ExportObject, options: ExportOptions, losses: Losses) -> dict[str, Any]:
    if found.box is not None:
        return {"segmentation": [], "area": found.box[2] * found.box[3], "bbox": list(found.box), "iscrowd": 0}
    exact = options.rle or found.crowd
    return {
        "segmentation": found.mask if exact else polygons_of(found.mask, options.tolerance, losses),
        "area": mask_area(found.mask),
        "bbox": list(tight_box(found.mask)),
        "iscrowd": int(found.crowd),
    }
