"""Checking results files: each wrong row is one clear error, unusual rows are counted in notes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clothseg.errors import DataError
from clothseg.evaluation import evaluate_coco
from clothseg.evaluation.truth import read_truth
from clothseg.evaluation.validate_results import read_results, validate_results
from clothseg.instances import encode

from .conftest import SQUARE, Tree, square_result, square_truth

WRONG: list[tuple[Any, str]] = [
    (square_result(image_id=4), "photo 4, which the ground truth does not have"),
    (square_result(image_id="3"), "photo '3', which the ground truth does not have"),
    (square_result(category_id=1), "class 1, which the ground truth does not have; it has 2 Suit"),
    (square_result(score=float("nan")), "score nan"),
    (square_result(score=float("inf")), "score inf"),
    (square_result(score="0.5"), "score '0.5'"),
    (square_result(score=...), "has no score"),
    (square_result(bbox=[1, 2, float("nan"), 4]), "all finite"),
    (square_result(bbox=[1, 2, -3, 4]), r"box \[1, 2, -3, 4\]"),
    (square_result(bbox=[1, 2, 3]), r"box \[1, 2, 3\]"),
    (
        square_result(segmentation=encode(np.ones((80, 100), dtype=bool))),
        r"size \[80, 100\].*but the photo has \[40, 50\]",
    ),
    (square_result(segmentation={"size": [40, 50], "counts": encode(SQUARE)["counts"][:-3]}), "broken mask"),
    (square_result(segmentation={"size": [40, 50], "counts": "é"}), "broken mask: its counts cannot be read"),
    (square_result(segmentation={"size": [40, 50], "counts": [3, 4]}), "fill 7 pixels"),
    (square_result(segmentation=[[1.0, 2.0]]), "polygon"),
    (square_result(segmentation=7), "neither polygons nor RLE"),
    (square_result(segmentation=..., bbox=...), "neither segmentation nor bbox"),
    (square_result(segmentation=[[float("nan")] * 6]), "not a finite number"),
    (square_result(segmentation=[["a", "b"] * 3]), "not a finite number"),
    (square_result(segmentation={"size": None, "counts": "d3"}), "the RLE has size None"),
    (square_result(score=10**400), "a score is a finite number"),
    (square_result(image_id=True), "photo True, which the ground truth does not have"),
    ("a detection", "not an object"),
]


@pytest.mark.parametrize(("row", "message"), WRONG)
def test_wrong_rows_are_named(row: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"result 1 .*{message}"):
        evaluate_coco(square_truth(), [square_result(), row], resamples=0)


UNUSUAL: list[tuple[list[Tree], str]] = [
    ([], "no detections"),
    ([square_result(bbox=[-9, 2, 30, 30])], "extend outside their photo: 1;"),
    ([square_result(bbox=[30, 2, 30, 30]), square_result(bbox=[8, 30, 9, 30])], "extend outside their photo: 2;"),
    ([square_result(score=7.5)], "Scores outside 0..1: 1;"),
    ([square_result(id=4), square_result(id=4, score=0.4)], "the id of another: 1;"),
    ([square_result(), square_result(), square_result()], "exact copies of another: 2;"),
]


@pytest.mark.parametrize(("rows", "sentence"), UNUSUAL)
def test_unusual_rows_are_counted_and_evaluated(rows: list[Tree], sentence: str) -> None:
    metrics = evaluate_coco(square_truth(), rows, resamples=0)
    assert len([note for note in metrics.notes if sentence in note]) == 1
    assert metrics.detections == len(rows)
    assert metrics.overall["mask_AP"] == pytest.approx(1.0 if rows else 0.0)


def test_good_rows_have_no_note_and_boxes_may_touch_the_edge() -> None:
    rows, notes = validate_results([square_result(bbox=[-0.4, 0, 50.8, 40])], read_truth(square_truth()))
    assert notes == []
    assert rows[0]["segmentation"] == encode(SQUARE)


def test_polygons_and_uncompressed_masks_are_the_same_detection() -> None:
    runs = [8 * 40 + 5] + [25, 15] * 24 + [25, 17 * 40 + 10]
    uncompressed = {"size": [40, 50], "counts": runs}
    polygon = [[8, 5, 33, 5, 33, 30, 8, 30]]
    for segmentation in (uncompressed, polygon):
        rows, _ = validate_results([square_result(segmentation=segmentation)], read_truth(square_truth()))
        assert rows[0]["segmentation"] == encode(SQUARE)


@pytest.mark.parametrize("text", ["", "{", "7", '{"images": []}', '"text"'])
def test_files_that_are_not_results_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(DataError, match=r"results\.json"):
        read_results(tmp_path / "results.json")


def test_results_in_a_coco_object_and_nan_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"annotations": [square_result()]}))
    assert list(read_results(path)) == [square_result()]
    path.write_text(json.dumps([square_result(score=float("nan"))]))
    with pytest.raises(DataError, match="finite"):
        evaluate_coco(square_truth(), read_results(path))


VARIANTS: list[Tree] = [
    {"bbox": ...},
    {"segmentation": ...},
    {"segmentation": [[8, 5, 33, 5, 33, 30, 8, 30]]},
    {"score": 1},
    {"bbox": (1, 2, 3, 4)},
    {"segmentation": {"size": (40, 50), "counts": encode(SQUARE)["counts"]}},
]


@pytest.mark.parametrize("change", VARIANTS)
def test_checking_rows_together_or_one_by_one_gives_the_same(change: Tree) -> None:
    known = read_truth(square_truth())
    rows = [square_result(score=n / 10) for n in range(5)] + [square_result(**change)]
    together, _ = validate_results(rows, known)
    alone = [validate_results([row], known)[0][0] for row in rows]
    assert list(together) == alone
    assert list(together)[:5] == rows[:5]


@pytest.mark.parametrize(("row", "message"), WRONG)
def test_a_wrong_row_among_thousands_is_named_by_its_number(row: Any, message: str) -> None:
    rows = [square_result()] * 5000 + [row] + [square_result()] * 10
    with pytest.raises(DataError, match=f"result 5000 .*{message}"):
        validate_results(rows, read_truth(square_truth()))


@pytest.mark.parametrize(("row", "message"), WRONG)
def test_a_wrong_row_in_a_long_file_is_named_by_its_number(tmp_path: Path, row: Any, message: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([square_result()] * 3000 + [row] + [square_result()] * 10))
    with pytest.raises(DataError, match=f"result 3000 .*{message}"):
        validate_results(read_results(path), read_truth(square_truth()))


@pytest.mark.parametrize("change", [{}, {"bbox": ...}, {"segmentation": ...}, {"note": "}, {"}, {"id": 4}])
def test_a_long_file_and_its_rows_give_the_same(tmp_path: Path, change: Tree) -> None:
    rows = [square_result(score=n / 3000, **change) for n in range(3000)]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(rows, indent=1))
    known = read_truth(square_truth())
    from_file, notes = validate_results(read_results(path), known)
    from_rows, same_notes = validate_results(rows, known)
    assert list(from_file) == list(from_rows)
    assert notes == same_notes
    assert len(notes) == ("id" in change)


def test_evaluating_a_results_file_does_not_load_pytorch(tmp_path: Path) -> None:
    truth, results = tmp_path / "truth.json", tmp_path / "results.json"
    truth.write_text(json.dumps(square_truth()))
    results.write_text(json.dumps([square_result()]))
    words = (
        "import sys; from pathlib import Path; from clothseg.cli.evaluate import evaluate; "
        f"evaluate(Path({str(results)!r}), Path({str(truth)!r}), quiet=True); print('torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, text=True)
    assert shown.stdout.split()[-1] == "False"
