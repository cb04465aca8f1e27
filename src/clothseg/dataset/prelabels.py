"""Detections as files that labelling tools take in, so that people correct them and need not draw everything.

Sources: COCO's "data format" page (instances); CVAT's page of its COCO format; Label Studio's pages of its task format
and of pre-annotations.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from clothseg.dataset.label_studio_rle import encode_label_studio_rle
from clothseg.errors import DataError
from clothseg.instances import Rle, decode, from_polygons, mask_area, mask_iou, tight_box
from clothseg.instances.contours import to_polygons

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Loss:
    """What polygons lose of the masks that they stand for.

    Attributes:
        masks: how many.
        mean_iou: of the polygons, drawn as COCO draws them, with their masks.
        worst_iou: of the worst.
        points: corners in all.
    """

    masks: int
    mean_iou: float
    worst_iou: float
    points: int

    def sentence(self) -> str:
        """For people."""
        if not self.masks:
            return "no instance, so no polygon"
        return (
            f"{self.masks} masks as polygons of {self.points / self.masks:.0f} points on average; IoU with the masks "
            f"{self.mean_iou:.3f} on average, {self.worst_iou:.3f} at worst"
        )


def coco_file(
    images: Sequence[Row], categories: Sequence[Row], results: Sequence[Row], *, tolerance: float | None = 1.0
) -> tuple[dict[str, Any], Loss | None]:
    """A COCO instances file from COCO results, for CVAT and others, and what its polygons lose.

    Ids count from 1. File names are those by which the tools know the photos: the path below the folder that all of
    them are in. A score stands as `score`, and again in `attributes`, where CVAT keeps it.

    Args:
        images: id, file_name, width, height.
        categories: id (from 1) and name.
        results: image_id, category_id, score and segmentation (RLE).
        tolerance: how far polygons may leave the mask's outline, in pixels; None writes RLE instead, which loses
            nothing, but which not every tool lets people edit.

    Raises:
        DataError: a result belongs to no image or category.
    """
    names = short_names([str(image["file_name"]) for image in images])
    rows = [
        {"id": image["id"], "file_name": name, "width": image["width"], "height": image["height"]}
        for image, name in zip(images, names, strict=True)
    ]
    known, classes = {image["id"] for image in images}, {category["id"] for category in categories}
    annotations: list[dict[str, Any]] = []
    shares: list[float] = []
    for result in results:
        if result["image_id"] not in known or result["category_id"] not in classes:
            raise DataError(
                f"a detection of image {result['image_id']}, class {result['category_id']}: not in the lists"
            )
        mask: Rle = result["segmentation"]
        if not mask_area(mask):
            continue
        segmentation: Any = dict(mask)
        if tolerance is not None:
            segmentation, share = _polygons(mask, tolerance)
            shares.append(share)
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
    tree = {
        "images": rows,
        "categories": [{"id": c["id"], "name": c["name"], "supercategory": ""} for c in categories],
        "annotations": annotations,
    }
    return tree, None if tolerance is None else _loss(annotations, shares)


def _polygons(mask: Rle, tolerance: float) -> tuple[list[list[float]], float]:
    """Outlines, and their IoU with the mask; outlines without tolerance where nothing is left of small ones."""
    pixels = decode(mask)
    polygons = to_polygons(pixels, tolerance) or to_polygons(pixels)
    drawn = from_polygons(polygons, *mask["size"])
    return polygons, float(mask_iou([drawn], [mask])[0, 0])


def _loss(annotations: Sequence[Row], shares: Sequence[float]) -> Loss:
    points = sum(len(polygon) // 2 for row in annotations for polygon in row["segmentation"])
    if not shares:
        return Loss(0, 1.0, 1.0, 0)
    return Loss(len(shares), float(np.mean(shares)), min(shares), points)


def short_names(names: Sequence[str]) -> list[str]:
    """Paths below the folder that all of them are in, with `/`: `a.jpg`, or `summer/a.jpg` where folders differ."""
    folders = {str(PurePath(name).parent) for name in names}
    if len(folders) <= 1:
        return [PurePath(name).name for name in names]
    try:
        shared = os.path.commonpath(list(folders))
    except ValueError:  # some absolute, some not
        return [PurePath(name).as_posix().lstrip("/") for name in names]
    return [PurePath(os.path.relpath(name, shared or ".")).as_posix() for name in names]


def label_studio_tasks(
    images: Sequence[Row], categories: Sequence[Row], results: Sequence[Row], *, photos_url: str, model: str
) -> list[dict[str, Any]]:
    """Tasks with predictions, a task a photo, masks as brush strokes: they keep holes and every pixel.

    Args:
        images: id, file_name, width, height.
        categories: id and name.
        results: image_id, category_id, score and segmentation (RLE).
        photos_url: what stands before the photos' names: where Label Studio finds them.
        model: the name that the predictions are shown with.
    """
    names = {category["id"]: str(category["name"]) for category in categories}
    tasks = []
    for image, name in zip(images, short_names([str(i["file_name"]) for i in images]), strict=True):
        own = [r for r in results if r["image_id"] == image["id"] and mask_area(r["segmentation"])]
        regions = [_region(f"{image['id']}-{n}", image, names[r["category_id"]], r) for n, r in enumerate(own, start=1)]
        score = float(np.mean([r["score"] for r in own])) if own else 0.0
        tasks.append(
            {
                "data": {"image": photos_url + name},
                "predictions": [{"model_version": model, "score": round(score, 4), "result": regions}],
            }
        )
    return tasks


def _region(name: str, image: Row, label: str, result: Row) -> dict[str, Any]:
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


def label_studio_config(categories: Sequence[Row], colours: Sequence[tuple[int, int, int]]) -> str:
    """The labelling interface that the tasks are for, to paste into the project's settings."""
    labels = "\n".join(
        f'    <Label value={quoteattr(str(category["name"]))} background="#{red:02x}{green:02x}{blue:02x}"/>'
        for category, (red, green, blue) in zip(categories, colours, strict=True)
    )
    return (
        '<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <BrushLabels name="garment" toName="image">\n{labels}\n  </BrushLabels>\n</View>\n'
    )
