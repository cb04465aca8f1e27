"""Reads COCO results and checks them against the ground truth: wrong rows are errors, unusual rows get a note.

Most files are in the standard form, and they can have half a million rows. So some thousands of rows are checked at
once, field by field. Only if that finds anything else, each of these rows is read alone: it is brought to the standard
form, or named in an error.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from clothseg.errors import DataError
from clothseg.evaluation.gc_pause import gc_paused
from clothseg.evaluation.truth import GroundTruth, is_number, is_standard_rle, parse_box
from clothseg.files import read_json
from clothseg.instances import CocoResult, Rle, broken_mask, from_segmentation

_CHUNK = 4096  # rows checked at once
_TOLERANCE = 1.0  # pixels that a box may extend over the photo's edge because of rounding


def read_results(path: Path) -> list[Any]:
    """The rows of a COCO results file: a list, or an object with the list under `annotations`.

    Raises:
        DataError: the file cannot be read, or is neither. The rows are not checked here; see `validate_results`.
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
def validate_results(results: Sequence[Any], truth: GroundTruth) -> tuple[list[CocoResult], list[str]]:
    """Checks results and brings them to the form that the evaluators need.

    Args:
        results: as parsed JSON.
        truth: that they must fit.

    Returns:
        The rows in the given order, with masks as compressed RLE; a row that has this form already is not copied.
        And notes: sentences on unusual rows and how they count.

    Raises:
        DataError: a row lacks a field, names a photo or class that the ground truth does not have, has a score or box
            that is not finite, or a mask that cannot be read or has another size than its photo. The message names the
            row.
    """
    rows: list[CocoResult] = []
    for start in range(0, len(results), _CHUNK):
        chunk = results[start : start + _CHUNK]
        rows += (
            chunk if _all_standard(chunk, truth) else [_checked(n, row, truth) for n, row in enumerate(chunk, start)]
        )
    masks = [(number, row) for number, row in enumerate(rows) if row.get("segmentation")]
    if broken := broken_mask([row["segmentation"] for _, row in masks]):
        number, row = masks[broken[0]]
        raise DataError(f"result {number} (photo {row['image_id']!r}) has {broken[1]}")
    return rows, _notes(results, rows, truth)


def _all_standard(rows: Sequence[Any], truth: GroundTruth) -> bool:
    """Whether all rows have known photos and classes, finite numbers, and masks, if any, as RLE of the photo's size.

    If not, the rows may still be valid.
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
        and (not shape[0] or _standard_boxes([row["bbox"] for row in rows]))
        and (not shape[1] or _standard_masks([row["segmentation"] for row in rows], [truth.sizes[p] for p in photos]))
    )


def _all_are(values: Iterable[Any], *kinds: type) -> bool:
    return set(map(type, values)) <= set(kinds)


def _standard_boxes(boxes: Sequence[Any]) -> bool:
    if not _all_are(boxes, list) or set(map(len, boxes)) != {4} or not _all_are(chain(*boxes), int, float):
        return False
    box = np.array(boxes, dtype=np.float64)
    return bool(np.isfinite(box).all() and (box[:, 2:] >= 0).all())


def _standard_masks(masks: Sequence[Any], sizes: Sequence[tuple[int, int]]) -> bool:
    if not _all_are(masks, dict):
        return False
    return [mask.get("size") for mask in masks] == [list(size) for size in sizes] and _all_are(
        (mask.get("counts") for mask in masks), str
    )


def _checked(number: int, row: Any, truth: GroundTruth) -> CocoResult:
    if not isinstance(row, Mapping):
        raise DataError(f"result {number} is not an object with image_id, category_id and score")
    photo, class_id, score = row.get("image_id"), row.get("category_id"), row.get("score")
    if type(photo) is not int or photo not in truth.sizes or type(class_id) is not int:
        raise DataError(_unknown(number, row, truth))
    if class_id not in truth.names or score is None or not is_number(score):
        raise DataError(_unknown(number, row, truth))
    answer: CocoResult = {"image_id": photo, "category_id": class_id, "score": float(score)}
    mask, box = row.get("segmentation"), row.get("bbox")
    if mask:
        answer["segmentation"] = _mask(number, photo, mask, truth.sizes[photo])
    if box is not None:
        sides = parse_box(box)
        if sides is None:
            raise DataError(
                f"result {number} (photo {photo!r}) has the box {box!r}; a box is x, y, width, height, all finite and "
                "the last two not negative"
            )
        answer["bbox"] = sides
    if not mask and box is None:
        raise DataError(f"result {number} (photo {photo!r}) has neither segmentation nor bbox")
    return answer


def _unknown(number: int, row: Mapping[str, Any], truth: GroundTruth) -> str:
    """The error message for a row whose photo, class or score is wrong."""
    absent = [key for key in ("image_id", "category_id", "score") if key not in row]
    if absent:
        return f"result {number} has no {', '.join(absent)}"
    photo, class_id = row["image_id"], row["category_id"]
    if type(photo) is not int or photo not in truth.sizes:
        return (
            f"result {number} is for photo {photo!r}, which the ground truth does not have; results and ground truth "
            "must belong to the same dataset"
        )
    if type(class_id) is not int or class_id not in truth.names:
        known = ", ".join(f"{key} {name}" for key, name in list(truth.names.items())[:8])
        return (
            f"result {number} (photo {photo!r}) is of class {class_id!r}, which the ground truth does not have; it has "
            f"{known}"
        )
    return f"result {number} (photo {photo!r}) has the score {row['score']!r}; a score is a finite number"


def _mask(number: int, photo: int, mask: Any, size: tuple[int, int]) -> Rle:
    """Compressed RLE of the photo's size. Whether its runs fill it is checked later, for all rows at once."""
    if is_standard_rle(mask, size):
        standard: Rle = mask
        return standard
    try:
        return from_segmentation(mask, *size)
    except DataError as error:
        raise DataError(f"result {number} (photo {photo!r}): {error}; masks must have the photo's size") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"result {number} (photo {photo!r}) has a segmentation that is neither polygons nor RLE ({error})"
        ) from error


def _notes(given: Sequence[Mapping[str, Any]], rows: Sequence[CocoResult], truth: GroundTruth) -> list[str]:
    if not rows:
        return ["There are no detections, so metrics are 0."]
    notes = []
    outside = _outside([row for row in rows if row.get("bbox")], truth)
    if outside:
        notes.append(f"{outside} boxes extend outside their photo; they are evaluated as they are.")
    unusual = sum(1 for row in rows if not 0 <= row["score"] <= 1)
    if unusual:
        notes.append(f"{unusual} scores are outside 0..1; only their order counts.")
    shared = sum(count - 1 for count in Counter(str(row["id"]) for row in given if "id" in row).values())
    if shared:
        notes.append(f"{shared} detections have the id of another; the evaluation does not use these ids.")
    same = len(rows) - len({_content(row) for row in rows})
    if same:
        notes.append(f"{same} detections are exact copies of another; each copy counts as a false positive.")
    return notes


def _content(row: CocoResult) -> int:
    """A hash that is equal for equal detections; a set of numbers needs less memory than one of rows."""
    mask = row["segmentation"]["counts"] if row.get("segmentation") else None
    return hash((row["image_id"], row["category_id"], row["score"], mask, tuple(row.get("bbox") or ())))


def _outside(rows: Sequence[CocoResult], truth: GroundTruth) -> int:
    """Number of the rows, all with a box, whose box extends over an edge of the photo."""
    box = np.array([row["bbox"] for row in rows], dtype=np.float64).reshape(-1, 4)
    size = np.array([truth.sizes[row["image_id"]] for row in rows], dtype=np.float64).reshape(-1, 2)[:, ::-1]
    over = (box[:, :2] < -_TOLERANCE) | (box[:, :2] + box[:, 2:] > size + _TOLERANCE)
    return int(np.count_nonzero(over[:, 0] | over[:, 1]))
