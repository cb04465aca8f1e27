"""What the report says about photos without labels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clothseg.errors import RunError
from clothseg.report.unlabelled import describe_gain, teacher_labels
from clothseg.runs import RunFolder

SQUARE = [[2, 2, 30, 2, 30, 40, 2, 40]]


def labels(folder: Path) -> dict[str, object]:
    """A file with two photos: one with an object and an ignored region, one with a region only."""
    for name in ("a.png", "b.png"):
        Image.fromarray(np.full((60, 50, 3), 90, dtype=np.uint8)).save(folder / name)
    rows: list[dict[str, object]] = [
        {"image_id": 1, "category_id": 1, "iscrowd": 0, "score": 0.87},
        {"image_id": 1, "category_id": 2, "iscrowd": 1},
        {"image_id": 2, "category_id": 1, "iscrowd": 1},
    ]
    told = {"photos": 1, "masks": 1, "boxes": 0, "ignored": 2, "class_thresholds": {"Suit": 0.55, "Dress": 0.6}}
    return {
        "info": {"rounds": [{"epoch": 2, **told}, {"epoch": 4, **told}]},
        "images": [
            {"id": n, "file_name": str(folder / name), "height": 60, "width": 50}
            for n, name in enumerate(("a.png", "b.png"), start=1)
        ],
        "annotations": [{"id": n, "segmentation": SQUARE, **row} for n, row in enumerate(rows, start=1)],
        "categories": [{"id": 1, "name": "Suit"}, {"id": 2, "name": "Dress"}],
    }


def test_examples_show_what_was_sure(tmp_path: Path) -> None:
    RunFolder(tmp_path).pseudo_labels.write_text(json.dumps(labels(tmp_path)))
    found = teacher_labels(tmp_path, [])
    assert found is not None
    assert found.photos == 2 and [told["epoch"] for told in found.rounds] == [2, 4]
    assert [example.text for example in found.examples] == ["Suit 0.87; 1 ignored"], "the other photo teaches nothing"
    assert found.unread == [] and not found.second_opinion


@pytest.mark.parametrize("ids", [(0, 1, 2), (-4, 7, 2), (30, 20, 10), (2, 1, 3), ("a", "b", "c"), (None, None, None)])
def test_a_score_stays_with_its_object_whatever_the_ids_are(ids: tuple[object, ...], tmp_path: Path) -> None:
    tree: Any = labels(tmp_path)
    tree["annotations"][1] |= {"iscrowd": 0, "score": 0.61}
    for row, number in zip(tree["annotations"], ids, strict=True):
        if number is None:
            del row["id"]
        else:
            row["id"] = number
    RunFolder(tmp_path).pseudo_labels.write_text(json.dumps(tree))
    found = teacher_labels(tmp_path, [])
    assert found is not None and found.examples[0].text == "Suit 0.87, Dress 0.61"


def test_a_second_opinion_is_seen_in_one_of_the_rounds(tmp_path: Path) -> None:
    tree: Any = labels(tmp_path)
    tree["info"]["rounds"][1] |= {"contradicted": 7, "empty": 3}
    RunFolder(tmp_path).pseudo_labels.write_text(json.dumps(tree))
    found = teacher_labels(tmp_path, [])
    assert found is not None and found.second_opinion
    assert [(told["contradicted"], told["empty"]) for told in found.rounds] == [(0, 0), (7, 3)]


def test_photos_that_are_gone_are_named(tmp_path: Path) -> None:
    RunFolder(tmp_path).pseudo_labels.write_text(json.dumps(labels(tmp_path)))
    (tmp_path / "a.png").unlink()
    found = teacher_labels(tmp_path, [])
    assert found is not None and [Path(name).name for name in found.unread if name.endswith("a.png")] == ["a.png"]


def test_a_run_without_them_has_no_section(tmp_path: Path) -> None:
    assert teacher_labels(tmp_path, []) is None


@pytest.mark.parametrize("text", ["", "[]", '{"info": {}}', '{"info": {"rounds": []}}', '{"info": {"rounds": [1]}}'])
def test_a_damaged_file_is_named(text: str, tmp_path: Path) -> None:
    RunFolder(tmp_path).pseudo_labels.write_text(text)
    with pytest.raises(RunError, match=r"pseudo-labels\.json"):
        teacher_labels(tmp_path, [])


def rows(values: dict[int, float | None]) -> list[dict[str, str]]:
    return [{"epoch": str(epoch), "mask_AP": "" if value is None else str(value)} for epoch, value in values.items()]


def test_no_gain_is_claimed_from_one_run() -> None:
    rose = describe_gain(rows({1: None, 2: 0.3, 3: None, 4: 0.4}), 2)
    assert "30.0 after epoch 2 and 40.0 after epoch 4" in rose and "did not rise" not in rose
    assert "cannot be seen in one run" in rose and "clothseg compare" in rose
    fell = describe_gain(rows({2: 0.3, 4: 0.29}), 3)
    assert "did not rise" in fell
    for unknown in (rows({1: None, 2: None}), rows({4: 0.4}), []):
        told = describe_gain(unknown, 2)
        assert "cannot be seen in one run" in told and "epoch" not in told
