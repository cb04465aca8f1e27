"""Metrics as JSON and as a table."""

import json
from pathlib import Path

import pytest

from clothseg.errors import DataError
from clothseg.evaluation import Metrics, evaluate_coco

from .conftest import generated


def test_json_round_trip_and_table(tmp_path: Path) -> None:
    truth, results = generated(3)
    path = tmp_path / "val.json"
    path.write_text(json.dumps(truth))
    metrics = evaluate_coco(path, results, resamples=20)
    assert Metrics.from_json(metrics.to_json()) == metrics
    value = metrics.overall["mask_AP50"]
    assert value is not None
    assert f"{100 * value:.1f}" in metrics.table()
    assert "class 7" in metrics.table()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"overall": 3}', '{"overall": {}, "classes": []}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        Metrics.from_json(text)


def test_a_metrics_file_with_fewer_values_is_read() -> None:
    truth, results = generated(3)
    metrics = evaluate_coco(truth, results, resamples=20)
    tree = json.loads(metrics.to_json())
    old = {key: tree[key] for key in ("protocol", "overall", "classes", "photos", "detections", "intervals", "notes")}
    old["overall"] = {k: v for k, v in old["overall"].items() if k.startswith(("mask_", "box_"))}
    read = Metrics.from_json(json.dumps(old))
    assert read.intervals == metrics.intervals
    assert (read.confusion, read.threshold, dict(read.curves), read.truth) == (None, None, {}, "")
    assert "class 7" in read.table()
