"""Masks to look at: which ones are marked and counted, and the page."""

import json
from pathlib import Path

import pytest

from clothseg.evaluation.truth import read_truth
from clothseg.evaluation.validate_results import validate_results
from clothseg.instances.calibration import needs_review
from clothseg.report.review import review_list


@pytest.mark.parametrize(("score", "marked"), [(0.19, False), (0.2, True), (0.69, True), (0.7, False), (1.0, False)])
def test_neither_sure_nor_ruled_out(score: float, marked: bool) -> None:
    assert needs_review(score) is marked


def test_counts_and_pictures(data: Path) -> None:
    """Photos 0 to 2: right but with a low score, wrong class and a low score, right; 3 is too low; 4 is wrong."""
    file = data / "annotations" / "val.json"
    truth = read_truth(file)
    tree = json.loads(file.read_text())
    scores = {0: 0.65, 1: 0.3, 2: 0.9, 3: 0.1, 4: 0.8}
    rows = [a | {"score": scores[a["image_id"]]} for a in tree["annotations"] if a["image_id"] in scores]
    for place in (1, 4):
        rows[place] |= {"category_id": rows[place]["category_id"] % 3 + 1}
    found, unread = review_list(truth, validate_results(rows, truth)[0], data / "images")
    assert unread == []
    assert (found.masks, found.marked, found.bad, found.bad_marked) == (4, 2, 2, 1)
    assert [one.name for one in found.shown] == ["val-1.png", "val-0.png"]
    assert found.shown[0].caption.endswith("0.30, IoU 0 %")
    assert found.shown[1].caption == "Suit 0.65, IoU 100 %"
    one, _ = review_list(truth, validate_results(rows, truth)[0], data / "images", wanted=1)
    assert [shown.name for shown in one.shown] == ["val-1.png"]

    (data / "images" / "val-1.png").unlink()
    found, unread = review_list(truth, validate_results(rows, truth)[0], data / "images")
    assert unread == ["val-1.png"]
    assert len(found.shown) == 1
