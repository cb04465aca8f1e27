"""The data set on disk: two COCO files, the photos, `dataset.yaml`."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothseg.files import whole_folder
from clothseg.instances import Rle
from clothseg.openimages.summary import BuildSummary, record
from clothseg.openimages.tables import ClassName, PhotoCredit, SplitFiles, class_file

_LICENSE_NAMES = {
    "https://creativecommons.org/licenses/by/2.0/": "CC BY 2.0",
    "https://www.apache.org/licenses/LICENSE-2.0": "Apache License 2.0",
}
_NO_CREDIT = PhotoCredit(author="", license="", source_url="")


@dataclass(frozen=True)
class Annotation:
    """One mask on its photo's grid. `box` is x y width height in pixels, `area` in pixels, `category` from 1."""

    category: int
    rle: Rle
    area: int
    box: tuple[float, float, float, float]
    box_id: str
    mask_path: str


@dataclass(frozen=True)
class Photo:
    """One photo, upright, and its annotations; without any it is a negative."""

    image_id: str
    path: Path
    height: int
    width: int
    annotations: tuple[Annotation, ...]


def write_dataset(
    summary: BuildSummary,
    photos: Mapping[str, Sequence[Photo]],
    *,
    credit: Mapping[str, PhotoCredit],
    classes: Sequence[ClassName],
    files: Sequence[SplitFiles],
    options: Mapping[str, Any],
    overwrite: bool,
) -> None:
    """Write the folder `summary.folder`, whole or not at all.

    Args:
        summary: what goes into `dataset.yaml`.
        photos: `train` and `val`.
        credit: author, licence and page by image id.
        classes: in the order of their category ids.
        files: where the source's splits came from; checksums are taken of their tables.
        options: as given by the user.
        overwrite: replace what is there.

    Raises:
        ClothsegError: the folder exists and `overwrite` is not set.
    """
    urls = sorted({credit.get(p.image_id, _NO_CREDIT).license for found in photos.values() for p in found})
    licenses = [
        {"id": n, "name": _LICENSE_NAMES.get(u, u) or "not stated", "url": u} for n, u in enumerate(urls, start=1)
    ]
    categories = [
        {"id": number, "name": c.name, "supercategory": "", "mid": c.mid} for number, c in enumerate(classes, start=1)
    ]
    text = record(summary, _sources(files), categories, options)
    with whole_folder(summary.folder, overwrite=overwrite) as folder:
        (folder / "images").mkdir()
        (folder / "annotations").mkdir()
        for split, found in photos.items():
            document = {
                "info": {"description": f"{', '.join(summary.classes)} from Open Images masks: {split}"},
                "licenses": licenses,
                "categories": categories,
                "images": _images(found, credit, urls),
                "annotations": _annotations(found),
            }
            with (folder / "annotations" / f"{split}.json").open("w", encoding="utf-8") as stream:
                json.dump(document, stream, ensure_ascii=False, separators=(",", ":"))
                stream.write("\n")
            for photo in found:
                shutil.copyfile(photo.path, folder / "images" / f"{photo.image_id}.jpg")
        (folder / "dataset.yaml").write_text(text, encoding="utf-8")


def _images(photos: Sequence[Photo], credit: Mapping[str, PhotoCredit], licenses: Sequence[str]) -> list[Any]:
    images = []
    for number, photo in enumerate(photos, start=1):
        line = credit.get(photo.image_id, _NO_CREDIT)
        images.append(
            {
                "id": number,
                "file_name": f"{photo.image_id}.jpg",
                "width": photo.width,
                "height": photo.height,
                "license": licenses.index(line.license) + 1,
                "open_images_id": photo.image_id,
                "author": line.author,
                "source_url": line.source_url,
            }
        )
    return images


def _annotations(photos: Sequence[Photo]) -> list[Any]:
    numbered = [(image, a) for image, photo in enumerate(photos, start=1) for a in photo.annotations]
    return [
        {
            "id": number,
            "image_id": image,
            "category_id": a.category,
            "segmentation": a.rle,
            "area": a.area,
            "bbox": list(a.box),
            "iscrowd": 0,
            "box_id": a.box_id,
            "mask_path": a.mask_path,
        }
        for number, (image, a) in enumerate(numbered, start=1)
    ]


def _sources(files: Sequence[SplitFiles]) -> dict[str, Any]:
    """The tables by name and checksum. Where the folder lay on this machine is nobody's business."""
    source = files[0].source
    tables = [class_file(source), *(path for f in files for path in (f.masks, f.boxes, f.credits))]
    return {
        "folder": source.resolve().name,
        "splits": [f.split for f in files],
        "tables": [{"file": path.name, "sha256": _sha256(path)} for path in tables],
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
