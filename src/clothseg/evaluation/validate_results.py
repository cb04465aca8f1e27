"""Results in COCO's form, read and checked against the truth: what is wrong is an error, what is odd a sentence.

Most files are well made throughout, and hold half a million rows. So rows are looked at some thousands at a time, field
by field; only where that finds anything unusual each of them is read for itself, made usual, or named in an error.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from clothseg.errors import DataError
from clothseg.evaluation.gc_pause import gc_paused
from clothseg.evaluation.truth import GroundTruth, Row, four_numbers, is_number, usual_mask
from clothseg.files import read_json
from clothseg.instances import broken_mask, from_segmentation

_TOGETHER = 4096  # rows checked at once
_SLACK = 1.0  # pixels that a box may reach over the photo's edge by rounding


def read_results(path: Path) -> list[Any]:
    """The rows of a COCO results file: a list, or an object with the list under `annotations`.

    Raises:
        DataError: the file cannot be read, or is neither. What stands in the rows is not looked at here.
    """
    try:
        with gc_paused():
            rows = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as COCO results ({error})") from error
    if isinstance(rows, dict):
        rows = rows.get("annotations")
    if not isinstance(rows, list):
        raise DataError(f"{path}: COCO results are a list of detections with image_id, category_id and score")
    return rows


@gc_paused()
def validate_results(results: Sequence[Any], truth: GroundTruth) -> tuple[list[Row], list[str]]:
    """Results that the evaluators can be given, and sentences on what was found odd and how it counts.

    Returns:
        Rows with `image_id`, `category_id`, `score`, and `segmentation` (compressed RLE) and `bbox` as far as they are
        there, in the order given; those that were so already are the ones given.

    Raises:
        DataError: a row lacks a field, names a photo or class that the truth does not have, has a score or box that
            is not finite, or a mask that cannot be read or has another size than its photo. The message names the row.
    """
    rows: list[Row] = []
    for start in range(0, len(results), _TOGETHER):
        some = results[start : start + _TOGETHER]
        rows += some if _usual(some, truth) else [_checked(n, row, truth) for n, row in enumerate(some, start)]
    masks = [(number, row) for number, row in enumerate(rows) if row.get("segmentation")]
    if broken := broken_mask([row["segmentation"] for _, row in masks]):
        number, row = masks[broken[0]]
        raise DataError(f"result {number} (photo {row['image_id']!r}) has {broken[1]}")
    return rows, _notes(results, rows, truth)


def _usual(rows: Sequence[Any], truth: GroundTruth) -> bool:
    """Whether all have known photos and classes, finite numbers, and masks, if any, as RLE of the photo's size.

    Where it is False, a row may still be right.
    """
    if not _all_are(rows, dict):
        return False
    shapes = {("bbox" in row, "segmentation" in row) for row in rows}
    if len(shapes) != 1 or not any(shape := shapes.pop()):
        return False
    try:
        photos, classes, scores = ([row[key] for row in rows] for key in ("image_id", "category_id", "score"))
    except KeyError:
        return False
    return (
        _all_are(photos, int)
        and _all_are(classes, int)
        and _all_are(scores, float)
        and set(photos) <= truth.sizes.keys()
        and set(classes) <= truth.names.keys()
        and bool(np.isfinite(scores).all())
        and (not shape[0] or _usual_boxes([row["bbox"] for row in rows]))
        and (not shape[1] or _usual_masks([row["segmentation"] for row in rows], [truth.sizes[p] for p in photos]))
    )


def _all_are(values: Iterable[Any], *kinds: type) -> bool:
    return set(map(type, values)) <= set(kinds)


def _usual_boxes(boxes: Sequence[Any]) -> bool:
    if not _all_are(boxes, list) or set(map(len, boxes)) != {4} or not _all_are(chain(*boxes), int, float):
        return False
    box = np.array(boxes, dtype=np.float64)
    return bool(np.isfinite(box).all() and (box[:, 2:] >= 0).all())


def _usual_masks(masks: Sequence[Any], sizes: Sequence[tuple[int, int]]) -> bool:
    if not _all_are(masks, dict):
        return False
    return [mask.get("size") for mask in masks] == [list(size) for size in sizes] and _all_are(
        (mask.get("counts") for mask in masks), str
    )


def _checked(number: int, row: Any, truth: GroundTruth) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise DataError(f"result {number} is no object with image_id, category_id and score")
    photo, class_id, score = row.get("image_id"), row.get("category_id"), row.get("score")
    if type(photo) is not int or photo not in truth.sizes or type(class_id) is not int:
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


def _unknown(number: int, row: Row, truth: GroundTruth) -> str:
    """What is wrong with the photo, class or score of a row."""
    absent = [key for key in ("image_id", "category_id", "score") if key not in row]
    if absent:
        return f"result {number} has no {', '.join(absent)}"
    photo, class_id = row["image_id"], row["category_id"]
    if type(photo) is not int or photo not in truth.sizes:
        return (
            f"result {number} is for photo {photo!r}, which the truth does not have; results and truth must be of "
            "one data set"
        )
    if type(class_id) is not int or class_id not in truth.names:
        known = ", ".join(f"{key} {name}" for key, name in list(truth.names.items())[:8])
        return (
            f"result {number} (photo {photo!r}) is of class {class_id!r}, which the truth does not have; it has {known}"
        )
    return f"result {number} (photo {photo!r}) has the score {row['score']!r}; a score is a finite number"


def _mask(number: int, photo: int, mask: Any, size: tuple[int, int]) -> Any:
    """Compressed RLE of the photo's size. Whether its runs fill it is checked for many at once."""
    if usual_mask(mask, size):
        return mask
    try:
        return from_segmentation(mask, *size)
    except DataError as error:
        raise DataError(
            f"result {number} (photo {photo!r}): {error}; masks must be made at the photo's own size"
        ) from error
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"result {number} (photo {photo!r}) has a segmentation that is neither polygons nor RLE ({error})"
        ) from error


def _notes(given: Sequence[Row], rows: Sequence[Row], truth: GroundTruth) -> list[str]:
    if not rows:
        return ["There is not a single detection; figures that need one are 0."]
    notes = []
    outside = _outside([row for row in rows if row.get("bbox")], truth)
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
    mask = row["segmentation"]["counts"] if row.get("segmentation") else None
    return hash((row["image_id"], row["category_id"], row["score"], mask, tuple(row.get("bbox") or ())))


def _outside(rows: Sequence[Row], truth: GroundTruth) -> int:
    """How many of the rows, all with a box, have one that reaches over an edge of their photo."""
    box = np.array([row["bbox"] for row in rows], dtype=np.float64).reshape(-1, 4)
    size = np.array([truth.sizes[row["image_id"]] for row in rows], dtype=np.float64).reshape(-1, 2)[:, ::-1]
    over = (box[:, :2] < -_SLACK) | (box[:, :2] + box[:, 2:] > size + _SLACK)
    return int(np.count_nonzero(over[:, 0] | over[:, 1]))
