"""Results files of others: every wrong one is one clear error, every odd one a counted sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clothseg.errors import DataError
from clothseg.evaluation import evaluate_coco
from clothseg.evaluation.truth import read_truth
from clothseg.evaluation.validate_results import read_results, validate_results
from clothseg.instances import encode, tight_box

Tree = dict[str, Any]
SQUARE = np.zeros((40, 50), dtype=bool)
SQUARE[5:30, 8:33] = True


def truth() -> Tree:
    rle = encode(SQUARE)
    annotation = {"id": 1, "image_id": 3, "category_id": 2, "segmentation": rle, "bbox": list(tight_box(rle))}
    return {
        "images": [{"id": 3, "height": 40, "width": 50}],
        "annotations": [annotation],
        "categories": [{"id": 2, "name": "Suit"}],
    }


def result(**change: Any) -> Tree:
    rle = encode(SQUARE)
    row = {"image_id": 3, "category_id": 2, "score": 0.5, "segmentation": rle, "bbox": list(tight_box(rle))} | change
    return {key: value for key, value in row.items() if value is not ...}


WRONG: list[tuple[Any, str]] = [
    (result(image_id=4), "photo 4, which the truth does not have"),
    (result(image_id="3"), "photo '3', which the truth does not have"),
    (result(category_id=1), "class 1, which the truth does not have; it has 2 Suit"),
    (result(score=float("nan")), "score nan"),
    (result(score=float("inf")), "score inf"),
    (result(score="0.5"), "score '0.5'"),
    (result(score=...), "has no score"),
    (result(bbox=[1, 2, float("nan"), 4]), "none NaN"),
    (result(bbox=[1, 2, -3, 4]), r"box \[1, 2, -3, 4\]"),
    (result(bbox=[1, 2, 3]), r"box \[1, 2, 3\]"),
    (result(segmentation=encode(np.ones((80, 100), dtype=bool))), r"size \[80, 100\].*own size"),
    (result(segmentation={"size": [40, 50], "counts": encode(SQUARE)["counts"][:-3]}), "broken mask"),
    (result(segmentation={"size": [40, 50], "counts": "é"}), "broken mask: its counts cannot be read"),
    (result(segmentation={"size": [40, 50], "counts": [3, 4]}), "fill 7 pixels"),
    (result(segmentation=[[1.0, 2.0]]), "polygon"),
    (result(segmentation=7), "neither polygons nor RLE"),
    (result(segmentation=..., bbox=...), "neither segmentation nor bbox"),
    (result(segmentation=[[float("nan")] * 6]), "NaN or infinite"),
    (result(segmentation=[["a", "b"] * 3]), "neither polygons nor RLE"),
    (result(segmentation={"size": None, "counts": "d3"}), "neither polygons nor RLE"),
    (result(score=10**400), "a score is a finite number"),
    (result(image_id=True), "photo True, which the truth does not have"),
    ("a detection", "no object"),
]


@pytest.mark.parametrize(("row", "message"), WRONG)
def test_wrong_rows_are_named(row: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"result 1 .*{message}"):
        evaluate_coco(truth(), [result(), row], resamples=0)


ODD: list[tuple[list[Tree], str]] = [
    ([], "not a single detection"),
    ([result(bbox=[-9, 2, 30, 30])], "1 boxes reach outside"),
    ([result(bbox=[30, 2, 30, 30]), result(bbox=[8, 30, 9, 30])], "2 boxes reach outside"),
    ([result(score=7.5)], "1 scores lie outside 0..1"),
    ([result(id=4), result(id=4, score=0.4)], "1 detections share their id"),
    ([result(), result(), result()], "2 detections are copies"),
]


@pytest.mark.parametrize(("rows", "sentence"), ODD)
def test_odd_rows_are_counted_and_judged(rows: list[Tree], sentence: str) -> None:
    metrics = evaluate_coco(truth(), rows, resamples=0)
    assert len([note for note in metrics.notes if sentence in note]) == 1
    assert metrics.detections == len(rows)
    assert metrics.overall["mask_AP"] == pytest.approx(1.0 if rows else 0.0)


def test_good_rows_have_no_note_and_boxes_may_touch_the_edge() -> None:
    rows, notes = validate_results([result(bbox=[-0.4, 0, 50.8, 40])], read_truth(truth()))
    assert notes == []
    assert rows[0]["segmentation"] == encode(SQUARE)


def test_polygons_and_uncompressed_masks_are_the_same_detection() -> None:
    runs = [8 * 40 + 5] + [25, 15] * 24 + [25, 17 * 40 + 10]
    uncompressed = {"size": [40, 50], "counts": runs}
    polygon = [[8, 5, 33, 5, 33, 30, 8, 30]]
    for segmentation in (uncompressed, polygon):
        rows, _ = validate_results([result(segmentation=segmentation)], read_truth(truth()))
        assert rows[0]["segmentation"] == encode(SQUARE)


@pytest.mark.parametrize("text", ["", "{", "7", '{"images": []}', '"text"'])
def test_files_that_are_no_results(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(DataError, match=r"results\.json"):
        read_results(tmp_path / "results.json")


def test_results_in_a_coco_object_and_nan_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"annotations": [result()]}))
    assert read_results(path) == [result()]
    path.write_text(json.dumps([result(score=float("nan"))]))
    with pytest.raises(DataError, match="finite"):
        evaluate_coco(truth(), read_results(path))


TRUTHS: list[tuple[str, Any, str]] = [
    ("images", [{"id": 3, "height": 40, "width": 50}] * 2, "image id 3 is given twice"),
    ("images", [{"id": "3", "height": 40, "width": 50}], "whole"),
    ("images", [{"id": 3, "height": 40}], "width"),
    ("categories", [{"id": 2, "name": "Suit"}, {"id": 3, "name": "Suit"}], "category name 'Suit' is given twice"),
    ("annotations", [{"id": 9, "image_id": 4, "category_id": 2, "bbox": [0, 0, 1, 1]}], "annotation 9 names photo 4"),
    ("annotations", [{"id": 9, "image_id": 3, "category_id": 1, "bbox": [0, 0, 1, 1]}], "annotation 9 names class 1"),
    ("annotations", [{"id": 9, "image_id": 3, "category_id": 2}], "annotation 9 has neither"),
    ("annotations", [{"id": 9, "image_id": 3, "category_id": 2, "bbox": [0, 0, float("nan"), 1]}], "annotation 9.*box"),
    ("annotations", [result(id=9, segmentation=encode(SQUARE[:20]))], r"annotation 9.*size \[20, 50\]"),
]


@pytest.mark.parametrize(("key", "value", "message"), TRUTHS)
def test_wrong_truth_is_named(key: str, value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_truth(truth() | {key: value})


def test_odd_truth_is_counted() -> None:
    nothing = encode(np.zeros((40, 50), dtype=bool))
    tree = truth()
    tree["annotations"] += [tree["annotations"][0] | {"segmentation": nothing}]
    notes = " ".join(read_truth(tree).notes)
    assert "1 annotations of the truth share their id" in notes
    assert "1 objects of the truth have no pixel" in notes


def test_the_fingerprint_is_that_of_the_content() -> None:
    tree = truth()
    again = tree | {"annotations": [tree["annotations"][0] | {"id": 77}]}
    other = tree | {"annotations": [tree["annotations"][0] | {"segmentation": encode(~SQUARE)}]}
    assert read_truth(tree).fingerprint == read_truth(again).fingerprint != read_truth(other).fingerprint


UNUSUAL: list[Tree] = [
    {"bbox": ...},
    {"segmentation": ...},
    {"segmentation": [[8, 5, 33, 5, 33, 30, 8, 30]]},
    {"score": 1},
    {"bbox": (1, 2, 3, 4)},
    {"segmentation": {"size": (40, 50), "counts": encode(SQUARE)["counts"]}},
]


@pytest.mark.parametrize("change", UNUSUAL)
def test_rows_are_the_same_whether_looked_at_together_or_one_by_one(change: Tree) -> None:
    known = read_truth(truth())
    rows = [result(score=n / 10) for n in range(5)] + [result(**change)]
    together, _ = validate_results(rows, known)
    alone = [validate_results([row], known)[0][0] for row in rows]
    assert together == alone
    assert together[:5] == rows[:5]


@pytest.mark.parametrize(("row", "message"), WRONG)
def test_a_wrong_row_among_thousands_is_named_by_its_number(row: Any, message: str) -> None:
    rows = [result()] * 5000 + [row] + [result()] * 10
    with pytest.raises(DataError, match=f"result 5000 .*{message}"):
        validate_results(rows, read_truth(truth()))


def test_a_broken_mask_in_the_truth_is_named() -> None:
    tree = truth()
    cut = {"size": [40, 50], "counts": encode(SQUARE)["counts"][:-3]}
    tree["annotations"] += [tree["annotations"][0] | {"id": 17, "segmentation": cut}]
    with pytest.raises(DataError, match="annotation 17 has a broken mask: its runs fill"):
        read_truth(tree)
