"""Detections in COCO's results form: made by a network, read from a file, and checked against the truth."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from clothseg.dataset import CocoLikeDataset, to_tensor
from clothseg.errors import DataError
from clothseg.evaluation.truth import Truth, four_numbers, is_number
from clothseg.instances import Instances, filled_pixels, from_segmentation, to_xywh

Row = Mapping[str, Any]
_TOGETHER = 1024  # masks checked at once
_SLACK = 1.0  # pixels that a box may reach over the photo's edge by rounding


class Detector(Protocol):
    """Anything that finds instances on photos; see `networks.Network`."""

    def detect(self, images: list[Tensor]) -> list[Instances]:
        """For each float RGB `[3, H, W]` in 0..1 its instances, in the photo's own pixels."""
        ...


def detections(detector: Detector, dataset: CocoLikeDataset) -> Iterator[list[dict[str, Any]]]:
    """For each photo of a prepared data set what `detector` finds on it, in COCO's results form."""
    with torch.no_grad():
        for position, image in enumerate(dataset.images):
            found = detector.detect([to_tensor(dataset.load_image(position))])[0]
            yield coco_results(image.id, found, dataset.source_class_id)


def coco_results(image_id: int | str, found: Instances, category_id: Callable[[int], int]) -> list[dict[str, Any]]:
    """One dict a detection: image_id, category_id, bbox (x y w h), score, segmentation (RLE of the photo's size).

    Args:
        image_id: as the annotations have it, or a file name where there are none.
        found: detections on the photo.
        category_id: from a class 1..K to the id in the annotations.
    """
    rows = zip(
        found.classes.tolist(), found.scores.tolist(), to_xywh(found.boxes).tolist(), found.masks.rle(), strict=True
    )
    return [
        {
            "image_id": image_id,
            "category_id": category_id(label),
            "bbox": [round(side, 3) for side in box],
            "score": score,
            "segmentation": dict(mask),
        }
        for label, score, box, mask in rows
    ]


def read_results(path: Path) -> list[Any]:
    """The rows of a COCO results file: a list, or an object with the list under `annotations`.

    Raises:
        DataError: the file cannot be read, or is neither. What stands in the rows is not looked at here.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as COCO results ({error})") from error
    if isinstance(rows, dict):
        rows = rows.get("annotations")
    if not isinstance(rows, list):
        raise DataError(f"{path}: COCO results are a list of detections with image_id, category_id and score")
    return rows


def checked_results(results: Sequence[Any], truth: Truth) -> tuple[list[dict[str, Any]], list[str]]:
    """Results that the evaluators can be given, and sentences on what was found odd and how it counts.

    Returns:
        New rows with `image_id`, `category_id`, `score`, and `segmentation` (compressed RLE) and `bbox` as far as
        they are there, in the order given.

    Raises:
        DataError: a row lacks a field, names a photo or class that the truth does not have, has a score or box that
            is not finite, or a mask that cannot be read or has another size than its photo. The message names the row.
    """
    rows = [_checked(number, row, truth) for number, row in enumerate(results)]
    for start in range(0, len(rows), _TOGETHER):
        _check_filled(rows[start : start + _TOGETHER], start)
    return rows, _notes(results, rows, truth)


def _checked(number: int, row: Any, truth: Truth) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise DataError(f"result {number} is no object with image_id, category_id and score")
    photo, class_id, score = row.get("image_id"), row.get("category_id"), row.get("score")
    if not isinstance(photo, int) or photo not in truth.sizes or not isinstance(class_id, int):
        raise DataError(_unknown(number, row, truth))
    if class_id not in truth.names or score is None or not is_number(score):
        raise DataError(_unknown(number, row, truth))
    answer: dict[str, Any] = {"image_id": photo, "category_id": class_id, "score": float(score)}
    mask, box = row.get("segmentation"), row.get("bbox")
    if mask:
        answer["segmentation"] = _mask(number, photo, mask, truth.sizes[photo])
    if box is not None:
        answer["bbox"] = four_numbers(box)
        if answer["bbox"] is None:
            raise DataError(
                f"result {number} (photo {photo!r}) has the box {box!r}; a box is x, y, width, height, none NaN"
            )
    if not mask and box is None:
        raise DataError(f"result {number} (photo {photo!r}) has neither segmentation nor bbox")
    return answer


def _unknown(number: int, row: Row, truth: Truth) -> str:
    """What is wrong with the photo, class or score of a row."""
    absent = [key for key in ("image_id", "category_id", "score") if key not in row]
    if absent:
        return f"result {number} has no {', '.join(absent)}"
    photo, class_id = row["image_id"], row["category_id"]
    if not isinstance(photo, int) or photo not in truth.sizes:
        return (
            f"result {number} is for photo {photo!r}, which the truth does not have; results and truth must be of "
            "one data set"
        )
    if not isinstance(class_id, int) or class_id not in truth.names:
        known = ", ".join(f"{key} {name}" for key, name in list(truth.names.items())[:8])
        return (
            f"result {number} (photo {photo!r}) is of class {class_id!r}, which the truth does not have; it has {known}"
        )
    return f"result {number} (photo {photo!r}) has the score {row['score']!r}; a score is a finite number"


def _mask(number: int, photo: int, mask: Any, size: tuple[int, int]) -> dict[str, Any]:
    """Compressed RLE of the photo's size. Whether its runs fill it is checked for many at once."""
    if isinstance(mask, dict) and list(mask.get("size", ())) == list(size) and isinstance(mask.get("counts"), str):
        return {"size": list(size), "counts": mask["counts"]}
    try:
        return dict(from_segmentation(mask, *size))
    except (DataError, TypeError, ValueError) as error:
        raise DataError(
            f"result {number} (photo {photo!r}): {error}; masks must be made at the photo's own size"
        ) from error


def _check_filled(rows: Sequence[Row], start: int) -> None:
    masks = [(number, row) for number, row in enumerate(rows, start) if "segmentation" in row]
    filled = filled_pixels([row["segmentation"]["counts"] for _, row in masks])
    pixels = np.array([math.prod(row["segmentation"]["size"]) for _, row in masks], dtype=np.int64)
    wrong = np.flatnonzero(filled != pixels)
    if len(wrong):
        number, row = masks[wrong[0]]
        has = f"its runs fill {filled[wrong[0]]}" if filled[wrong[0]] >= 0 else "its counts cannot be read"
        height, width = row["segmentation"]["size"]
        raise DataError(
            f"result {number} (photo {row['image_id']!r}) has a broken mask: {has} of {height} x {width} pixels"
        )


def _notes(given: Sequence[Row], rows: Sequence[Row], truth: Truth) -> list[str]:
    if not rows:
        return ["There is not a single detection; figures that need one are 0."]
    notes = []
    outside = sum(1 for row in rows if "bbox" in row and _outside(row["bbox"], truth.sizes[row["image_id"]]))
    if outside:
        notes.append(f"{outside} boxes reach outside their photo; they are judged as they are.")
    odd = sum(1 for row in rows if not 0 <= row["score"] <= 1)
    if odd:
        notes.append(f"{odd} scores lie outside 0..1; only their order counts.")
    shared = sum(count - 1 for count in Counter(str(row["id"]) for row in given if "id" in row).values())
    if shared:
        notes.append(f"{shared} detections share their id with another; ids of detections are not used.")
    same = len(rows) - len({_content(row) for row in rows})
    if same:
        notes.append(f"{same} detections are copies of another, to the last pixel; each copy counts as a false alarm.")
    return notes


def _content(row: Row) -> int:
    """Equal for equal detections; a number, so that a set of them stays small."""
    mask = row["segmentation"]["counts"] if "segmentation" in row else None
    return hash((row["image_id"], row["category_id"], row["score"], mask, tuple(row.get("bbox") or ())))


def _outside(box: Sequence[float], size: tuple[int, int]) -> bool:
    x, y, width, height = box
    return min(x, y) < -_SLACK or x + width > size[1] + _SLACK or y + height > size[0] + _SLACK
