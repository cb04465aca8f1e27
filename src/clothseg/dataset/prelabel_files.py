"""The files of a prediction as files for labelling tools, beside them in their folder."""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from clothseg.dataset.prelabels import Loss, coco_file, label_studio_config, label_studio_tasks
from clothseg.errors import DataError
from clothseg.files import atomic_write
from clothseg.instances import Selection
from clothseg.pictures import class_colour

SHOWN_FROM = 0.5
"""Pictures and labels show what is this sure, unless told otherwise."""

PHOTOS_URL = "/data/local-files/?d="
"""Where Label Studio serves photos of its own machine from."""


class LabelFormat(StrEnum):
    """What a labelling tool takes in."""

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
) -> Loss | None:
    """Write `labels-FORMAT.json` for the prediction in `folder`; for Label Studio its interface as XML too.

    Args:
        folder: holds `predictions.json` and `images.json`.
        formats: which.
        shown: says which score each class needs, as in the pictures.
        photos_url: what stands before the photos' names in Label Studio's tasks.
        tolerance: of polygons, in pixels.

    Returns:
        what the polygons lose, where there are polygons.

    Raises:
        DataError: the prediction is missing, or its two files do not belong together.
    """
    results, about = _read(folder / "predictions.json"), _read(folder / "images.json")
    try:
        images, categories = about["images"], about["categories"]
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder / 'images.json'}: no {error}; run `clothseg predict` again") from error
    results = [row for row in results if row["score"] >= shown.least(row["category_id"])]
    lost: Loss | None = None
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
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); `clothseg predict` writes it") from error
