"""Converts detections to files for labelling tools. People then correct them instead of drawing everything.

Sources: COCO's "data format" page (instances), CVAT's page on its COCO format, Label Studio's pages on its task format
and on pre-annotations.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from clothseg.counting import counted
from clothseg.dataset.label_studio_rle import encode_label_studio_rle
from clothseg.errors import DataError
from clothseg.instances import (
    CocoAnnotation,
    CocoCategory,
    CocoDataset,
    CocoImage,
    CocoResult,
    Rle,
    decode,
    from_polygons,
    mask_area,
    mask_iou,
    tight_box,
    to_polygons,
)

_STORAGE = re.compile("(s3|gs|azure-blob)://")


@dataclass(frozen=True)
class PolygonLoss:
    """How exactly polygons describe their masks.

    Attributes:
        masks: the number of masks.
        mean_iou: mean IoU of the masks with their polygons, drawn as COCO draws them.
        worst_iou: the lowest IoU.
        points: the number of points of all polygons.
    """

    masks: int
    mean_iou: float
    worst_iou: float
    points: int

    def sentence(self) -> str:
        """One sentence for users."""
        if not self.masks:
            return "no instances, so no polygons"
        return (
            f"{counted(self.masks, 'mask')} as polygons with {self.points / self.masks:.0f} points on average; "
            f"IoU with the masks: mean {self.mean_iou:.3f}, lowest {self.worst_iou:.3f}"
        )


def coco_file(
    images: Sequence[CocoImage],
    categories: Sequence[CocoCategory],
    results: Sequence[CocoResult],
    *,
    tolerance: float | None = 1.0,
) -> tuple[CocoDataset, PolygonLoss | None]:
    """Makes a COCO instances file from COCO results, for CVAT and other tools.

    Annotation ids start at 1. Photos are named by their path below their common folder, as the tools expect. A score is
    in `score`, and again in `attributes`, where CVAT keeps it.

    Args:
        images: with file names.
        categories: ids start at 1.
        results: with masks.
        tolerance: how far polygons may deviate from the mask's outline, in pixels. None writes RLE, which is exact, but
            cannot be edited in every tool.

    Returns:
        The content of the file, and the exactness of its polygons (None for RLE).

    Raises:
        DataError: a result refers to an unknown image or category.
    """
    names = short_names([image["file_name"] for image in images])
    rows: list[CocoImage] = [
        {"id": image["id"], "file_name": name, "width": image["width"], "height": image["height"]}
        for image, name in zip(images, names, strict=True)
    ]
    known, classes = {image["id"] for image in images}, {category["id"] for category in categories}
    annotations: list[CocoAnnotation] = []
    ious: list[float] = []
    for result in results:
        if result["image_id"] not in known or result["category_id"] not in classes:
            raise DataError(
                f"a detection of image {result['image_id']}, class {result['category_id']}, which are not both in "
                "images.json; run `clothseg predict` again"
            )
        mask = result["segmentation"]
        if not mask_area(mask):
            continue
        segmentation: Any = dict(mask)
        if tolerance is not None:
            segmentation, iou = _polygons(mask, tolerance)
            ious.append(iou)
        score = round(float(result["score"]), 4)
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": result["image_id"],
                "category_id": result["category_id"],
                "segmentation": segmentation,
                "bbox": list(tight_box(mask)),
                "area": mask_area(mask),
                "iscrowd": 0,
                "score": score,
                "attributes": {"score": score},
            }
        )
    tree: CocoDataset = {
        "images": rows,
        "categories": [{"id": c["id"], "name": c["name"], "supercategory": ""} for c in categories],
        "annotations": annotations,
    }
    return tree, None if tolerance is None else _loss(annotations, ious)


def _polygons(mask: Rle, tolerance: float) -> tuple[list[list[float]], float]:
    """The outlines of a mask and their IoU with it. If the tolerance removes a small outline, the exact one is used."""
    pixels = decode(mask)
    polygons = to_polygons(pixels, tolerance) or to_polygons(pixels)
    drawn = from_polygons(polygons, *mask["size"])
    return polygons, float(mask_iou([drawn], [mask])[0, 0])


def _loss(annotations: Sequence[CocoAnnotation], ious: Sequence[float]) -> PolygonLoss:
    points = sum(len(polygon) // 2 for row in annotations for polygon in row["segmentation"])
    if not ious:
        return PolygonLoss(0, 1.0, 1.0, 0)
    return PolygonLoss(len(ious), float(np.mean(ious)), min(ious), points)


def short_names(names: Sequence[str]) -> list[str]:
    """Paths below the common folder, with `/`: `a.jpg`, or `summer/a.jpg` if the folders differ."""
    folders = {str(PurePath(name).parent) for name in names}
    if len(folders) <= 1:
        return [PurePath(name).name for name in names]
    try:
        shared = os.path.commonpath(list(folders))
    except ValueError:  # absolute and relative paths are mixed
        return [PurePath(name).as_posix().lstrip("/") for name in names]
    return [PurePath(os.path.relpath(name, shared or ".")).as_posix() for name in names]


def label_studio_tasks(
    images: Sequence[CocoImage],
    categories: Sequence[CocoCategory],
    results: Sequence[CocoResult],
    *,
    photos_url: str,
    model: str,
) -> list[dict[str, Any]]:
    """Makes Label Studio tasks with predictions, one task per photo. Masks are brush strokes, which are exact.

    Args:
        images: with file names.
        categories: the classes.
        results: with masks.
        photos_url: the prefix before the photos' names, under which Label Studio finds them.
        model: the name of the model, which Label Studio shows.
    """
    names = {category["id"]: category["name"] for category in categories}
    of_photo: dict[int, list[CocoResult]] = {image["id"]: [] for image in images}
    for result in results:
        if result["image_id"] in of_photo and mask_area(result["segmentation"]):
            of_photo[result["image_id"]].append(result)
    tasks = []
    for image, name in zip(images, short_names([image["file_name"] for image in images]), strict=True):
        own = of_photo[image["id"]]
        regions = [_region(f"{image['id']}-{n}", image, names[r["category_id"]], r) for n, r in enumerate(own, start=1)]
        score = float(np.mean([r["score"] for r in own])) if own else 0.0
        tasks.append(
            {
                "data": {"image": _address(photos_url, name)},
                "predictions": [{"model_version": model, "score": round(score, 4), "result": regions}],
            }
        )
    return tasks


def _address(prefix: str, name: str) -> str:
    """The address of a photo: letters such as # are escaped, but not in a key of a cloud storage (`s3://`)."""
    return prefix + (name if _STORAGE.match(prefix) else quote(name, errors="surrogateescape"))


def _region(name: str, image: CocoImage, label: str, result: CocoResult) -> dict[str, Any]:
    """One mask as Label Studio has it."""
    return {
        "id": name,
        "type": "brushlabels",
        "from_name": "garment",
        "to_name": "image",
        "original_width": image["width"],
        "original_height": image["height"],
        "image_rotation": 0,
        "score": round(float(result["score"]), 4),
        "value": {
            "format": "rle",
            "rle": encode_label_studio_rle(decode(result["segmentation"])),
            "brushlabels": [label],
        },
    }


def label_studio_config(categories: Sequence[CocoCategory], colours: Sequence[tuple[int, int, int]]) -> str:
    """The XML of the labelling interface for the tasks. Users paste it into the project's settings."""
    labels = "\n".join(
        f'    <Label value={quoteattr(category["name"])} background="#{red:02x}{green:02x}{blue:02x}"/>'
        for category, (red, green, blue) in zip(categories, colours, strict=True)
    )
    return (
        '<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <BrushLabels name="garment" toName="image">\n{labels}\n  </BrushLabels>\n</View>\n'
    )
