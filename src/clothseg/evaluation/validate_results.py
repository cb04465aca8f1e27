"""Reads COCO results and checks them against the ground truth: wrong rows are errors, unusual rows get a note.

Most files are in the standard form, and they can have half a million rows. So they are read part by part into columns,
and each column is checked at once. Only if that finds anything else, rows are read alone: they are brought to the
standard form, or named in an error.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clothseg.errors import DataError, shown
from clothseg.evaluation.columns import ResultColumns
from clothseg.evaluation.truth import GroundTruth, is_standard_rle, parse_box
from clothseg.files import is_finite_number, read_json, read_json_array
from clothseg.gc_pause import gc_paused
from clothseg.instances import CocoResult, Rle, broken_mask, first_broken, from_segmentation, pixel_counts

_CHUNK = 4096  # rows checked at once
_TOLERANCE = 1.0  # pixels that a box may extend over the photo's edge because of rounding

_FACTOR = 0x1F3D5B79A8C6E401  # large and odd, so that a key spreads over all bits


def read_results(path: Path) -> Sequence[Any]:
    """The rows of a COCO results file: a list, or an object with the list under `annotations`.

    Rows in the standard form are kept as columns, and so without fields that COCO results do not have.

    Raises:
        DataError: the file cannot be read, or is neither. The rows are not checked here; see `validate_results`.
    """
    try:
        with gc_paused():
            columns = _read_columns(path)
            rows = read_json(path) if columns is None else columns
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as COCO results ({error})") from error
    if isinstance(rows, dict):
        rows = rows.get("annotations")
    if not isinstance(rows, list | ResultColumns):
        raise DataError(f"{path}: COCO results are a list of detections with image_id, category_id and score")
    return rows


def _read_columns(path: Path) -> ResultColumns | None:
    """The rows of the file as columns; None if it is not a list of rows in the standard form."""
    try:
        return ResultColumns.join(ResultColumns.from_rows(part) for part in read_json_array(path))
    except ValueError:
        return None


@gc_paused()
def validate_results(results: Sequence[Any], truth: GroundTruth) -> tuple[Sequence[CocoResult], list[str]]:
    """Checks results and brings them to the form that the evaluators need.

    Args:
        results: as parsed JSON.
        truth: that they must fit.

    Returns:
        The rows in the given order, with masks as compressed RLE; as `ResultColumns` if all have the same fields.
        And notes: sentences on unusual rows and how they count.

    Raises:
        DataError: a row lacks a field, names a photo or class that the ground truth does not have, has a score or box
            that is not finite, or a mask that cannot be read or has another size than its photo. The message names the
            row.
    """
    rows: Sequence[CocoResult]
    fits = isinstance(results, ResultColumns) and len(results) > 0 and _fit(results, truth)
    rows = results if fits else _standard(results, truth)
    if isinstance(rows, ResultColumns):
        rows = _with_areas(rows)
        notes = _column_notes(rows, truth, _shared_ids(results))
    else:
        masks = [(number, row) for number, row in enumerate(rows) if row.get("segmentation")]
        if broken := broken_mask([row["segmentation"] for _, row in masks]):
            number, row = masks[broken[0]]
            raise DataError(f"result {number} (photo {shown(row['image_id'])}) has {broken[1]}")
        notes = _notes(rows, truth, _shared_ids(results))
    return rows, notes


def _standard(results: Sequence[Any], truth: GroundTruth) -> Sequence[CocoResult]:
    """The checked rows: as columns if all have the same fields, otherwise as a list."""
    parts: list[ResultColumns | list[CocoResult]] = []
    for start in range(0, len(results), _CHUNK):
        chunk = results[start : start + _CHUNK]
        columns = ResultColumns.from_rows(chunk)
        if columns is None or not _fit(columns, truth):
            rows = [_checked(number, row, truth) for number, row in enumerate(chunk, start)]
            parts.append(ResultColumns.from_rows(rows) or rows)
        else:
            parts.append(replace(columns, ids=None))
    joined = ResultColumns.join(part if isinstance(part, ResultColumns) else None for part in parts)
    return [row for part in parts for row in part] if joined is None else joined


def _fit(columns: ResultColumns, truth: GroundTruth) -> bool:
    """Whether photos and classes are known, and masks have the size of their photo."""
    known = set(columns.photos.tolist()) <= truth.sizes.keys() and set(columns.classes.tolist()) <= truth.names.keys()
    return known and (columns.sizes is None or bool((columns.sizes == _photo_sizes(columns, truth)).all()))


def _photo_sizes(columns: ResultColumns, truth: GroundTruth) -> NDArray[np.int64]:
    """Height and width of each row's photo, `[N, 2]`. Most files have the rows of a photo one after the other."""
    first = np.flatnonzero(np.append(True, columns.photos[1:] != columns.photos[:-1]))
    sizes = [truth.sizes[photo] for photo in columns.photos[first].tolist()]
    return np.repeat(np.array(sizes, dtype=np.int64), np.diff(first, append=len(columns)), axis=0)


def _with_areas(columns: ResultColumns) -> ResultColumns:
    """The same with the areas of the masks. DataError if the runs of a mask do not fill its photo."""
    if columns.counts is None or columns.sizes is None:
        return columns
    filled, areas = pixel_counts(columns.counts)
    if broken := first_broken(filled, columns.sizes):
        raise DataError(f"result {broken[0]} (photo {int(columns.photos[broken[0]])!r}) has {broken[1]}")
    return replace(columns, areas=areas)


def _checked(number: int, row: Any, truth: GroundTruth) -> CocoResult:
    if not isinstance(row, Mapping):
        raise DataError(f"result {number} is not an object with image_id, category_id and score")
    photo, class_id, score = row.get("image_id"), row.get("category_id"), row.get("score")
    if type(photo) is not int or photo not in truth.sizes or type(class_id) is not int:
        raise DataError(_unknown(number, row, truth))
    if class_id not in truth.names or score is None or not is_finite_number(score):
        raise DataError(_unknown(number, row, truth))
    answer: CocoResult = {"image_id": photo, "category_id": class_id, "score": float(score)}
    mask, box = row.get("segmentation"), row.get("bbox")
    if mask:
        answer["segmentation"] = _mask(number, photo, mask, truth.sizes[photo])
    if box is not None:
        sides = parse_box(box)
        if sides is None:
            raise DataError(
                f"result {number} (photo {shown(photo)}) has the box {shown(box)}; a box is x, y, width, height, "
                "all finite and the last two not negative"
            )
        answer["bbox"] = sides
    if not mask and box is None:
        raise DataError(f"result {number} (photo {shown(photo)}) has neither segmentation nor bbox")
    return answer


def _unknown(number: int, row: Mapping[str, Any], truth: GroundTruth) -> str:
    """The error message for a row whose photo, class or score is wrong."""
    absent = [key for key in ("image_id", "category_id", "score") if key not in row]
    if absent:
        return f"result {number} has no {', '.join(absent)}"
    photo, class_id = row["image_id"], row["category_id"]
    if type(photo) is not int or photo not in truth.sizes:
        return (
            f"result {number} is for photo {shown(photo)}, which the ground truth does not have; results and ground "
            "truth must belong to the same dataset"
        )
    if type(class_id) is not int or class_id not in truth.names:
        known = ", ".join(f"{key} {name}" for key, name in list(truth.names.items())[:8])
        return (
            f"result {number} (photo {shown(photo)}) is of class {shown(class_id)}, which the ground truth does not "
            f"have; it has {known}"
        )
    return f"result {number} (photo {shown(photo)}) has the score {shown(row['score'])}; a score is a finite number"


def _mask(number: int, photo: int, mask: Any, size: tuple[int, int]) -> Rle:
    """Compressed RLE of the photo's size. Whether its runs fill it is checked later, for all rows at once."""
    if is_standard_rle(mask, size):
        standard: Rle = mask
        return standard
    try:
        return from_segmentation(mask, *size)
    except DataError as error:
        raise DataError(f"result {number} (photo {shown(photo)}): {error}") from error


def _notes(rows: Sequence[CocoResult], truth: GroundTruth, shared: int) -> list[str]:
    if not rows:
        return ["There are no detections, so metrics are 0."]
    boxed = [row for row in rows if row.get("bbox")]
    boxes = np.array([row["bbox"] for row in boxed], dtype=np.float64).reshape(-1, 4)
    sizes = np.array([truth.sizes[row["image_id"]] for row in boxed], dtype=np.int64).reshape(-1, 2)
    scores = np.array([row["score"] for row in rows], dtype=np.float64)
    return _sentences(boxes, sizes, scores, shared, len(rows) - len({_content(row) for row in rows}))


def _column_notes(columns: ResultColumns, truth: GroundTruth, shared: int) -> list[str]:
    boxes, sizes = np.zeros((0, 4)), np.zeros((0, 2), dtype=np.int64)
    if columns.boxes is not None:
        boxes, sizes = columns.boxes, _photo_sizes(columns, truth)
    return _sentences(boxes, sizes, columns.scores, shared, _copies(columns))


def _sentences(
    boxes: NDArray[np.float64], sizes: NDArray[np.int64], scores: NDArray[np.float64], shared: int, copies: int
) -> list[str]:
    """The notes; `sizes` `[N, 2]` are height and width of the photos of the `boxes` `[N, 4]`.

    `shared` ids and exact `copies` are counted already.
    """
    notes = []
    if outside := _outside(boxes, sizes):
        notes.append(f"Boxes that extend outside their photo: {outside}; they are evaluated as they are.")
    if unusual := int(np.count_nonzero((scores < 0) | (scores > 1))):
        notes.append(f"Scores outside 0..1: {unusual}; only their order counts.")
    if shared:
        notes.append(f"Detections with the id of another: {shared}; the evaluation does not use these ids.")
    if copies:
        notes.append(f"Detections that are exact copies of another: {copies}; each copy counts as a false positive.")
    return notes


def _shared_ids(results: Sequence[Any]) -> int:
    """How many rows have the id of an earlier row."""
    if isinstance(results, ResultColumns):
        return 0 if results.ids is None else len(results.ids) - len(np.unique(results.ids))
    ids = Counter(str(row["id"]) for row in results if "id" in row)
    return ids.total() - len(ids)


def _copies(columns: ResultColumns) -> int:
    """How many rows are equal to an earlier row. Only rows of equal keys, made of their numbers, can be equal."""
    numbers = [columns.scores] if columns.boxes is None else [columns.scores, *columns.boxes.T]
    keys = columns.photos * _FACTOR + columns.classes
    for number in numbers:
        keys = keys * _FACTOR + (number + 0.0).view(np.int64)  # 0.0, because -0.0 is equal to it
    ordered = np.sort(keys)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(repeated):
        return 0
    place = np.minimum(np.searchsorted(repeated, keys), len(repeated) - 1)
    candidates = columns.take(np.flatnonzero(repeated[place] == keys))
    return len(candidates) - len({_content(row) for row in candidates})


def _content(row: CocoResult) -> int:
    """A hash that is equal for equal detections; a set of numbers needs less memory than one of rows."""
    mask = row["segmentation"]["counts"] if row.get("segmentation") else None
    return hash((row["image_id"], row["category_id"], row["score"], mask, tuple(row.get("bbox") or ())))


def _outside(boxes: NDArray[np.float64], sizes: NDArray[np.int64]) -> int:
    """Number of the `boxes` `[N, 4]` that extend over an edge of their photo; `sizes` `[N, 2]` are height and width."""
    over = (boxes[:, :2] < -_TOLERANCE) | (boxes[:, :2] + boxes[:, 2:] > sizes[:, ::-1] + _TOLERANCE)
    return int(np.count_nonzero(over[:, 0] | over[:, 1]))
