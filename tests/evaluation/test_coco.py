"""Figures against pycocotools on generated data, and the cases that evaluators of this kind trip over."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clothseg.errors import DataError
from clothseg.evaluation import Metrics, evaluate_coco
from clothseg.instances import Rle, encode, mask_area, tight_box

Tree = dict[str, Any]


def rectangle(x: int, y: int, w: int, h: int, size: tuple[int, int]) -> Rle:
    mask = np.zeros(size, dtype=bool)
    mask[y : y + h, x : x + w] = True
    mask[y : y + h // 2, x : x + w // 3] = False  # a notch, so that box and mask differ
    return encode(mask)


def generated(seed: int, photos: int = 6, ties: bool = True) -> tuple[Tree, list[Tree]]:
    """Truth with crowds, sizes from small to large, unsorted class ids, and detections near it and elsewhere."""
    rng = np.random.default_rng(seed)
    size = (160, 200)
    classes = [7, 2, 5]
    annotations: list[Tree] = []
    results: list[Tree] = []
    for photo in range(photos):
        for _ in range(int(rng.integers(0, 7))):
            w, h = (int(v) for v in rng.choice([9, 25, 45, 110], 2))
            x, y = int(rng.integers(0, size[1] - w)), int(rng.integers(0, size[0] - h))
            rle = rectangle(x, y, w, h, size)
            class_id = int(rng.choice(classes))
            annotations.append(
                {"id": len(annotations), "image_id": photo * 3, "category_id": class_id, "segmentation": rle}
                | {"area": mask_area(rle), "bbox": list(tight_box(rle)), "iscrowd": int(rng.random() < 0.15)}
            )
            for _ in range(int(rng.integers(0, 4))):
                moved = rectangle(
                    max(x + int(rng.integers(-4, 5)), 0), max(y + int(rng.integers(-4, 5)), 0), w, h, size
                )
                score = float(rng.random())
                found: Tree = {
                    "image_id": photo * 3,
                    "category_id": class_id if rng.random() < 0.8 else int(rng.choice(classes)),
                }
                found |= {"segmentation": moved, "bbox": list(tight_box(moved))}
                results.append(found | {"score": round(score, 1) if ties else score})
    truth: Tree = {
        "images": [{"id": photo * 3, "height": size[0], "width": size[1]} for photo in range(photos)],
        "annotations": annotations,
        "categories": [{"id": c, "name": f"class {c}"} for c in classes],
    }
    return truth, results


def referee(truth: Tree, results: list[Tree], kind: str) -> tuple[list[float], Any]:
    """pycocotools' twelve figures and its precision array. Ids from 1: with 0 it is wrong."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = truth | {"annotations": [a | {"id": a["id"] + 1} for a in truth["annotations"]]}
        ground.createIndex()
        dropped = {"segm": "bbox", "bbox": "segmentation"}[kind]
        found = ground.loadRes([{k: v for k, v in r.items() if k != dropped} for r in results])
        evaluator = COCOeval(ground, found, kind)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return [float(v) for v in evaluator.stats], evaluator.eval["precision"]


@pytest.mark.parametrize("seed", range(8))
def test_figures_are_those_of_pycocotools(seed: int) -> None:
    truth, results = generated(seed)
    metrics = evaluate_coco(truth, results, resamples=0)
    for kind, library in (("mask", "segm"), ("box", "bbox")):
        stats, precision = referee(truth, results, library)
        names = ["AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR_1", "AR_10", "AR_100"]
        for name, expected in zip(names, stats, strict=False):
            ours = metrics.overall[f"{kind}_{name}"]
            assert (-1 if ours is None else ours) == pytest.approx(expected, abs=1e-9), name
        for position, class_id in enumerate([2, 5, 7]):
            expected = precision[0, :, position, 0, -1].mean()
            ours = metrics.classes[f"class {class_id}"].figures[f"{kind}_AP50"]
            assert (-1 if ours is None else ours) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(100, 10_000))
def test_truth_against_itself_is_perfect(seed: int) -> None:
    truth, _ = generated(seed)
    truth["annotations"] = [a | {"iscrowd": 0} for a in truth["annotations"]]
    results = [a | {"score": 1.0} for a in truth["annotations"]]
    metrics = evaluate_coco(truth, results, resamples=0)
    for name, value in metrics.overall.items():
        if "_AR_1" not in name or name.endswith("100"):
            assert value is None or value == pytest.approx(1.0), name


def test_no_detections_are_zero_and_not_an_error() -> None:
    truth, _ = generated(1)
    metrics = evaluate_coco(truth, [])
    assert metrics.overall["mask_AP"] == 0.0
    assert metrics.overall["box_AP50"] == 0.0
    assert metrics.detections == 0
    assert (metrics.intervals["mask_AP50"].low, metrics.intervals["mask_AP50"].high) == (0.0, 0.0)


def test_the_object_with_id_0_on_the_photo_with_id_0_is_found() -> None:
    rle = rectangle(10, 10, 60, 60, (100, 100))
    truth: Tree = {
        "images": [{"id": 0, "height": 100, "width": 100}],
        "annotations": [{"id": 0, "image_id": 0, "category_id": 0, "segmentation": rle, "bbox": list(tight_box(rle))}],
        "categories": [{"id": 0, "name": "Suit"}, {"id": 1, "name": "Dress"}],
    }
    metrics = evaluate_coco(truth, [truth["annotations"][0] | {"score": 0.3}])
    assert metrics.overall["mask_AP"] == pytest.approx(1.0)
    assert metrics.overall["box_AP"] == pytest.approx(1.0)
    assert metrics.classes["Dress"].figures["mask_AP"] is None
    assert any("no Dress" in note for note in metrics.notes)


def test_photos_without_objects_count_false_alarms_only() -> None:
    truth: Tree = {
        "images": [{"id": 1, "height": 9, "width": 9}],
        "annotations": [],
        "categories": [{"id": 1, "name": "Suit"}],
    }
    found = {"image_id": 1, "category_id": 1, "score": 0.9, "bbox": [0, 0, 4, 4]}
    metrics = evaluate_coco(truth, [found])
    assert set(metrics.overall.values()) == {None}
    assert metrics.intervals == {}


def test_polygons_and_box_only_results_are_read() -> None:
    polygon = [[10.0, 10.0, 70.0, 10.0, 70.0, 80.0, 10.0, 80.0]]
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 60, 70], "segmentation": polygon}
    truth: Tree = {
        "images": [{"id": 1, "height": 100, "width": 100}],
        "annotations": [annotation],
        "categories": [{"id": 1, "name": "Suit"}],
    }
    metrics = evaluate_coco(truth, [{"image_id": 1, "category_id": 1, "score": 0.9, "bbox": [10, 10, 60, 70]}])
    assert metrics.overall["box_AP"] == pytest.approx(1.0)
    assert metrics.overall["mask_AP"] is None
    assert "segmentation" in metrics.notes[0]


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


@pytest.mark.parametrize("change", [{"image_id": 999}, {"category_id": 999}])
def test_results_for_another_data_set_are_refused(change: Tree) -> None:
    truth, results = generated(2)
    with pytest.raises(DataError, match="999"):
        evaluate_coco(truth, [results[0] | change])


def test_truth_that_is_not_coco_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    others: list[Tree | Path] = [{"images": []}, tmp_path / "broken.json", tmp_path / "absent.json"]
    for truth in others:
        with pytest.raises(DataError):
            evaluate_coco(truth, [])


def test_a_metrics_file_of_an_earlier_version_is_read() -> None:
    truth, results = generated(3)
    metrics = evaluate_coco(truth, results, resamples=20)
    tree = json.loads(metrics.to_json())
    old = {key: tree[key] for key in ("protocol", "overall", "classes", "photos", "detections", "intervals", "notes")}
    old["overall"] = {k: v for k, v in old["overall"].items() if k.startswith(("mask_", "box_"))}
    read = Metrics.from_json(json.dumps(old))
    assert read.intervals == metrics.intervals
    assert (read.confusion, read.threshold, dict(read.curves), read.truth) == (None, None, {}, "")
    assert "class 7" in read.table()
