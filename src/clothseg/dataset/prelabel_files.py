"""Writes files for labelling tools into the folder of a prediction."""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from clothseg.dataset.prelabels import PolygonLoss, coco_file, label_studio_config, label_studio_tasks
from clothseg.errors import DataError
from clothseg.files import atomic_write, read_json
from clothseg.instances import CocoCategory, CocoImage, CocoResult, Selection
from clothseg.pictures import class_colour

SHOWN_FROM = 0.5
"""The default score threshold for pictures and labels."""

PHOTOS_URL = "/data/local-files/?d="
"""The prefix under which Label Studio serves photos of its own machine."""


class LabelFormat(StrEnum):
    """The formats of labelling tools."""

    COCO = "coco"
    COCO_RLE = "coco-rle"
    LABEL_STUDIO = "label-studio"


def write_prelabels(
    folder: Path,
    formats: Sequence[LabelFormat],
    *,
    shown: Selection = Selection(SHOWN_FROM),  # noqa: B008 - it is frozen
    photos_url: str = PHOTOS_URL,
    tolerance: float = 1.0,
) -> PolygonLoss | None:
    """Writes `labels-FORMAT.json` for the prediction in `folder`. For Label Studio, also writes its interface as XML.

    Args:
        folder: contains `predictions.json` and `images.json`.
        formats: the formats to write.
        shown: the score thresholds, as for the pictures.
        photos_url: the prefix of the photos' names in Label Studio's tasks.
        tolerance: how far polygons may deviate from masks, in pixels.

    Returns:
        How exactly the polygons describe the masks. None if no polygons are written.

    Raises:
        DataError: the prediction is missing, or its two files do not fit together.
    """
    results = cast(list[CocoResult], _read(folder / "predictions.json"))
    lists = _read(folder / "images.json")
    try:
        images, categories = cast(list[CocoImage], lists["images"]), cast(list[CocoCategory], lists["categories"])
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder / 'images.json'}: {error} is missing; run `clothseg predict` again") from error
    results = [row for row in results if row["score"] >= shown.least(row["category_id"])]
    lost: PolygonLoss | None = None
    for form in dict.fromkeys(formats):
        if form is LabelFormat.LABEL_STUDIO:
            tree: Any = label_studio_tasks(images, categories, results, photos_url=photos_url, model="clothseg")
            colours = [class_colour(category["id"]) for category in categories]
            atomic_write(folder / f"labels-{form}.xml", label_studio_config(categories, colours))
        else:
            exact = form is LabelFormat.COCO_RLE
            tree, loss = coco_file(images, categories, results, tolerance=None if exact else tolerance)
            lost = loss or lost
        atomic_write(folder / f"labels-{form}.json", json.dumps(tree))
    return lost


def _read(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({error}); `clothseg predict` writes it") from error
