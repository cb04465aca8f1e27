"""Results as columns: the same rows as the file has, and only rows in the standard form."""

from typing import Any

import numpy as np
import pytest

from clothseg.evaluation import evaluate_coco
from clothseg.evaluation.columns import ResultColumns, all_have, photos_and_scores
from clothseg.instances import encode

from .conftest import SQUARE, Tree, generated, square_result


def columns(rows: list[Any]) -> ResultColumns:
    found = ResultColumns.from_rows(rows)
    assert found is not None
    return found


def without(rows: list[Any], *keys: str) -> list[Tree]:
    return [{key: value for key, value in row.items() if key not in keys} for row in rows]


@pytest.mark.parametrize("absent", ["", "bbox", "segmentation"])
def test_columns_are_the_same_rows(absent: str) -> None:
    rows = without(generated(seed=3)[1], absent)
    found = columns(rows)
    assert list(found) == rows
    assert found[2:7] == rows[2:7]
    assert (found[0], found[-1]) == (rows[0], rows[-1])
    with pytest.raises(IndexError):
        found[len(rows)]
    assert list(found.take(np.array([4, 0, 4]))) == [rows[4], rows[0], rows[4]]
    assert list(photos_and_scores(found)) == [(row["image_id"], row["score"]) for row in rows]
    assert [all_have(found, key) for key in ("bbox", "segmentation")] == [absent != "bbox", absent != "segmentation"]
    assert found.masks() == [row["segmentation"] for row in rows if "segmentation" in row]


def test_parts_are_joined_if_their_fields_are_equal() -> None:
    rows = generated(seed=4)[1]
    joined = ResultColumns.join(columns(part) for part in (rows[:5], rows[5:6], rows[6:]))
    assert joined is not None
    assert list(joined) == rows
    assert ResultColumns.join([]) is None
    assert ResultColumns.join([columns(rows), None]) is None
    assert ResultColumns.join([columns(rows), columns(without(rows, "bbox"))]) is None


UNUSUAL: list[Any] = [
    "a detection",
    square_result(image_id="3"),
    square_result(image_id=2**64),
    square_result(category_id=True),
    square_result(score=...),
    square_result(score=True),
    square_result(score=float("inf")),
    square_result(score=10**400),
    square_result(bbox=...),
    square_result(bbox=None),
    square_result(bbox=[1, 2, 3]),
    square_result(bbox=[1, 2, 3, True]),
    square_result(bbox=[1, 2, 3, -4]),
    square_result(bbox=[1, 2, 3, float("nan")]),
    square_result(segmentation=...),
    square_result(segmentation=[[8, 5, 33, 5, 33, 30, 8, 30]]),
    square_result(segmentation={"size": [40, 50], "counts": [3, 4]}),
    square_result(segmentation={"size": (40, 50), "counts": "d3"}),
    square_result(segmentation={"size": [40.0, 50], "counts": "d3"}),
    square_result(segmentation={"size": [40, 50]}),
    square_result(segmentation=..., bbox=...),
    square_result(id="four"),
]


@pytest.mark.parametrize("row", UNUSUAL)
def test_rows_in_another_form_have_no_columns(row: Any) -> None:
    assert ResultColumns.from_rows([square_result(), row]) is None
    assert ResultColumns.from_rows([row, square_result()]) is None
    assert ResultColumns.from_rows([]) is None


def test_whole_numbers_are_scores_and_boxes_too() -> None:
    found = columns([square_result(score=1, bbox=[1, 2, 3.5, 4], id=7, colour="red")])
    assert list(found) == [{**square_result(score=1.0, bbox=[1.0, 2.0, 3.5, 4.0])}]
    assert found.ids is not None
    assert found.ids.tolist() == [7]


def test_ids_that_floats_cannot_hold_give_the_same_metrics() -> None:
    truth, results = generated(seed=5)
    new = {image["id"]: 2**60 + place for place, image in enumerate(sorted(truth["images"], key=lambda i: i["id"]))}
    renamed = truth | {
        "images": [image | {"id": new[image["id"]]} for image in truth["images"]],
        "annotations": [row | {"image_id": new[row["image_id"]]} for row in truth["annotations"]],
    }
    again = evaluate_coco(renamed, [row | {"image_id": new[row["image_id"]]} for row in results], resamples=0)
    assert again.overall == evaluate_coco(truth, results, resamples=0).overall


def test_equal_masks_of_equal_scores_are_copies_only_if_all_is_equal() -> None:
    other = SQUARE.copy()
    other[0, 0] = True
    rows = [square_result(), square_result(segmentation=encode(other)), square_result(bbox=[8, 5, 25, 24])]
    truth = {
        "images": [{"id": 3, "height": 40, "width": 50}],
        "annotations": [],
        "categories": [{"id": 2, "name": "a"}],
    }
    notes = evaluate_coco(truth, rows, resamples=0).notes
    assert not [note for note in notes if "exact copies" in note]
    zeros = [square_result(score=0.0), square_result(score=-0.0), *rows]
    notes = evaluate_coco(truth, [*zeros, rows[1]], resamples=0).notes
    assert [note for note in notes if "exact copies of another: 2;" in note]


@pytest.mark.parametrize("photos", [[], [1], [600], [1, 600]])
def test_photos_without_detections_may_fill_a_part_of_the_evaluation(photos: list[int]) -> None:
    box = [8.0, 5.0, 25.0, 25.0]
    truth = {
        "images": [{"id": n, "height": 40, "width": 50} for n in range(1, 601)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 2, "segmentation": encode(SQUARE), "bbox": box} for n in (1, 600)
        ],
        "categories": [{"id": 2, "name": "Suit"}],
    }
    metrics = evaluate_coco(truth, [square_result(image_id=photo) for photo in photos], resamples=2)
    for kind in ("mask", "box", "boundary"):
        assert metrics.overall[f"{kind}_AR_100"] == pytest.approx(len(photos) / 2)
    assert metrics.overall["report_mAP"] == pytest.approx(len(photos) / 2)
