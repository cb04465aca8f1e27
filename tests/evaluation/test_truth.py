"""Reading the ground truth: errors name the annotation, unusual annotations are counted in notes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clothseg.errors import DataError
from clothseg.evaluation.truth import read_truth
from clothseg.instances import encode

from .conftest import SQUARE, Tree, square_result, square_truth

TRUTHS: list[tuple[str, Any, str]] = [
    (
        "images",
        [{"id": 3, "file_name": name, "height": 40, "width": 50} for name in "ab"],
        "image 3, b: id 3 is also the id of 'a'",
    ),
    ("images", [{"id": 1.5, "height": 40, "width": 50}], "id must be a whole number, found 1.5"),
    ("images", [{"id": 3, "height": 40}], "width missing"),
    (
        "categories",
        [{"id": 2, "name": "Suit"}, {"id": 3, "name": "Suit"}],
        "category 3: two classes are called 'Suit'",
    ),
    ("annotations", [{"id": 9, "image_id": 4, "category_id": 2, "bbox": [0, 0, 1, 1]}], "annotation 9: names photo 4"),
    ("annotations", [{"id": 9, "image_id": 3, "category_id": 1, "bbox": [0, 0, 1, 1]}], "annotation 9: names class 1"),
    ("annotations", [{"id": 9, "image_id": 3, "category_id": 2}], "annotation 9: neither"),
    ("annotations", [{"id": 9, "image_id": 3, "category_id": 2, "bbox": [0, 0, float("nan"), 1]}], "annotation 9.*box"),
    ("annotations", [square_result(id=9, segmentation=encode(SQUARE[:20]))], "annotation 9: the RLE has 50 x 20"),
]


@pytest.mark.parametrize(("key", "value", "message"), TRUTHS)
def test_wrong_truth_is_named(key: str, value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_truth(square_truth() | {key: value})


def test_unusual_annotations_are_counted() -> None:
    nothing = encode(np.zeros((40, 50), dtype=bool))
    tree = square_truth()
    tree["annotations"] += [tree["annotations"][0] | {"segmentation": nothing}]
    notes = " ".join(read_truth(tree).notes)
    assert "annotations without an id of their own (1)" in notes
    assert "whose mask has no pixel: 1;" in notes


def test_the_fingerprint_depends_on_the_content_only() -> None:
    tree = square_truth()
    again = tree | {"annotations": [tree["annotations"][0] | {"id": 77}]}
    other = tree | {"annotations": [tree["annotations"][0] | {"segmentation": encode(~SQUARE)}]}
    assert read_truth(tree).fingerprint == read_truth(again).fingerprint != read_truth(other).fingerprint


def test_a_broken_mask_in_the_ground_truth_is_named() -> None:
    tree = square_truth()
    cut = {"size": [40, 50], "counts": encode(SQUARE)["counts"][:-3]}
    tree["annotations"] += [tree["annotations"][0] | {"id": 17, "segmentation": cut}]
    with pytest.raises(DataError, match="annotation 17: broken RLE: its runs fill"):
        read_truth(tree)


def test_files_that_are_not_coco_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    others: list[Tree | Path] = [{"images": []}, tmp_path / "broken.json", tmp_path / "absent.json"]
    for truth in others:
        with pytest.raises(DataError):
            read_truth(truth)
