"""Instances as label maps: a case worked by hand, and a confusion matrix counted pixel by pixel."""

from typing import Any

import numpy as np
import pytest

from clothseg.evaluation.comparison.semantic import semantic_counts
from clothseg.evaluation.truth import read_truth
from clothseg.instances import decode, encode

from ..conftest import generated

SIZE = (4, 10)


def block(x: int, width: int, *, top: int = 0, height: int = 4) -> dict[str, Any]:
    mask = np.zeros(SIZE, dtype=bool)
    mask[top : top + height, x : x + width] = True
    return {"image_id": 1, "segmentation": encode(mask), "bbox": [x, top, width, height]}


def truth_of(*rows: dict[str, Any], photos: int = 1) -> dict[str, Any]:
    return {
        "images": [{"id": n, "height": SIZE[0], "width": SIZE[1]} for n in range(1, photos + 1)],
        "annotations": [row | {"id": n} for n, row in enumerate(rows, 1)],
        "categories": [{"id": 3, "name": "Suit"}, {"id": 8, "name": "Dress"}, {"id": 9, "name": "Hat"}],
    }


def test_a_case_worked_by_hand() -> None:
    """40 pixels. A Suit in columns 0 to 3, a Dress in 4 to 5, a crowd in 8 and 9; no Hat.

    The Suit is found in columns 0 to 4, and a Dress with a higher score in 3 to 5: columns 0 to 2 are Suit, 3 to 5
    Dress. A Hat in columns 7 to 9 costs only column 7, because the crowd does not count. Background is 6 and 7.
    """
    truth = read_truth(
        truth_of(
            block(0, 4) | {"category_id": 3, "iscrowd": 0},
            block(4, 2) | {"category_id": 8, "iscrowd": 0},
            block(8, 2) | {"category_id": 8, "iscrowd": 1},
        )
    )
    found = [
        block(0, 5) | {"category_id": 3, "score": 0.6},
        block(3, 3) | {"category_id": 8, "score": 0.7},
        block(7, 3) | {"category_id": 9, "score": 0.9},
        block(0, 10) | {"category_id": 8, "score": 0.2},  # below the threshold
    ]
    counts = semantic_counts(truth, found, 0.5)  # type: ignore[arg-type]
    background, suit, dress = 1 / 2, 3 / 4, 2 / 3
    np.testing.assert_allclose(counts.iou(), [background, suit, dress, np.nan])
    assert counts.of(np.ones((1, 1), dtype=np.int64))["semantic_mIoU"] == pytest.approx((background + suit + dress) / 3)


def test_the_smallest_object_and_the_first_of_equal_scores_are_on_top() -> None:
    large, small = block(0, 8) | {"category_id": 3}, block(2, 2) | {"category_id": 8}
    found = [block(2, 2) | {"category_id": 8, "score": 0.5}, block(0, 8) | {"category_id": 3, "score": 0.5}]
    for objects in ((large, small), (small, large)):
        truth = read_truth(truth_of(*(row | {"iscrowd": 0} for row in objects)))
        assert semantic_counts(truth, found, 0.5).iou()[:3].tolist() == [1, 1, 1]  # type: ignore[arg-type]
    hidden = semantic_counts(truth, found[::-1], 0.5).iou()  # type: ignore[arg-type]
    assert hidden[2] == 0


def test_an_object_in_a_crowd_counts() -> None:
    crowd = block(0, 10) | {"category_id": 3, "iscrowd": 1}
    truth = read_truth(truth_of(block(0, 2) | {"category_id": 8, "iscrowd": 0}, crowd))
    found = [block(0, 1) | {"category_id": 8, "score": 0.9}]
    counts = semantic_counts(truth, found, 0.5)  # type: ignore[arg-type]
    assert counts.truth.tolist() == [[0, 0, 8, 0]]
    assert counts.iou()[2] == 0.5


def confusion_of(truth: dict[str, Any], found: list[Any], threshold: float) -> np.ndarray[Any, Any]:
    """The confusion matrix, rows by true class; every pixel is looked up on its own."""
    ids = sorted(category["id"] for category in truth["categories"])
    matrix = np.zeros((len(ids) + 1, len(ids) + 1), dtype=np.int64)
    for image in truth["images"]:
        objects = [a for a in truth["annotations"] if a["image_id"] == image["id"]]
        masks = [decode(a["segmentation"]) for a in objects]
        rows = [r for r in found if r["image_id"] == image["id"] and r["score"] >= threshold]
        drawn = [decode(r["segmentation"]) for r in rows]
        for y in range(image["height"]):
            for x in range(0, image["width"]):
                here = [(m.sum(), -n, a) for n, (a, m) in enumerate(zip(objects, masks, strict=True)) if m[y, x]]
                plain = [entry for entry in here if not entry[2]["iscrowd"]]
                if here and not plain:
                    continue
                true = ids.index(min(plain, key=lambda e: e[:2])[2]["category_id"]) + 1 if plain else 0
                over = [(-r["score"], n, r) for n, (r, m) in enumerate(zip(rows, drawn, strict=True)) if m[y, x]]
                seen = ids.index(min(over, key=lambda e: e[:2])[2]["category_id"]) + 1 if over else 0
                matrix[true, seen] += 1
    return matrix


@pytest.mark.parametrize("seed", range(3))
def test_the_iou_is_that_of_a_confusion_matrix(seed: int) -> None:
    truth, found = generated(seed, photos=2)
    matrix = confusion_of(truth, found, 0.3)
    expected = np.diag(matrix) / (matrix.sum(0) + matrix.sum(1) - np.diag(matrix)).clip(1)
    counts = semantic_counts(read_truth(truth), found, 0.3)
    present = matrix.sum(1) > 0
    np.testing.assert_allclose(counts.iou()[present], expected[present])
    assert np.isnan(counts.iou()[~present]).all()
    assert counts.of(np.ones((1, 2), dtype=np.int64))["semantic_mIoU"] == pytest.approx(expected[present].mean())


def test_a_photo_that_is_drawn_twice_counts_twice() -> None:
    truth, found = generated(6, photos=3)
    counts = semantic_counts(read_truth(truth), found, 0.3)
    matrices = [confusion_of({**truth, "images": [image]}, found, 0.3) for image in truth["images"]]
    matrix = 2 * matrices[0] + matrices[2]
    present = matrix.sum(1) > 0
    expected = (np.diag(matrix) / (matrix.sum(0) + matrix.sum(1) - np.diag(matrix)).clip(1))[present].mean()
    assert counts.of(np.array([[2, 0, 1]]))["semantic_mIoU"] == pytest.approx(expected)


def test_without_photos_there_is_no_value() -> None:
    counts = semantic_counts(read_truth(truth_of(photos=0)), [], 0.5)
    assert np.isnan(counts.of(np.zeros((1, 0), dtype=np.int64))["semantic_mIoU"])
