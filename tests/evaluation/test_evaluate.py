"""Evaluating results and detectors: perfect and missing detections, and the traps of such evaluators."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clothseg.dataset import CocoLikeDataset
from clothseg.errors import DataError
from clothseg.evaluation import evaluate_coco, evaluate_network
from clothseg.instances import Instances, tight_box

from .conftest import PerfectDetector, Tree, generated, planted, rectangle


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(100, 10_000))
def test_the_ground_truth_as_results_is_perfect(seed: int) -> None:
    truth, _ = generated(seed)
    truth["annotations"] = [a | {"iscrowd": 0} for a in truth["annotations"]]
    results = [a | {"score": 1.0} for a in truth["annotations"]]
    metrics = evaluate_coco(truth, results, resamples=0)
    known = {name: value for name, value in metrics.overall.items() if value is not None}
    assert {"mask_AP", "mask_AP50", "box_AP", "box_AP50", "report_mAP", "boundary_AP"} <= known.keys()
    for name, value in known.items():
        if "_AR_1" not in name or name.endswith("100"):
            assert value == pytest.approx(1.0), name


def test_without_detections_metrics_are_zero() -> None:
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
    assert metrics.classes["Dress"].values["mask_AP"] is None
    assert any("no object of Dress" in note for note in metrics.notes)


def test_without_objects_no_metric_has_a_value() -> None:
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


@pytest.mark.parametrize("change", [{"image_id": 999}, {"category_id": 999}])
def test_results_for_another_dataset_are_refused(change: Tree) -> None:
    truth, results = generated(2)
    with pytest.raises(DataError, match="999"):
        evaluate_coco(truth, [results[0] | change])


def test_false_positives_on_photos_without_objects() -> None:
    truth, results = planted()
    metrics = evaluate_coco(truth, [*results, results[-1] | {"image_id": 6, "score": 0.01}], resamples=0)
    on_empty, best = metrics.false_positives_on_empty, metrics.threshold
    assert on_empty is not None
    assert best is not None
    assert (on_empty.photos, on_empty.photos_with_detections, on_empty.detections, on_empty.threshold) == (
        2,
        1,
        1,
        best.score,
    )
    truth["images"] = [i for i in truth["images"] if i["id"] not in (6, 9)]
    kept = [r for r in results if r["image_id"] != 6]
    assert evaluate_coco(truth, kept, resamples=0).false_positives_on_empty is None


def test_a_detector_that_finds_all_objects_and_one_that_finds_half(dataset: CocoLikeDataset) -> None:
    perfect = evaluate_network(PerfectDetector(dataset, 9), dataset, resamples=0).overall
    for name in ("mask_AP", "box_AP", "boundary_AP", "report_mAP"):
        assert perfect[name] == pytest.approx(1.0), name
    half = evaluate_network(PerfectDetector(dataset, 1), dataset, resamples=0)
    assert half.overall["mask_AP"] == half.overall["report_mAP"] == pytest.approx(0.5)
    assert half.classes["Suit"].values["mask_AP"] == pytest.approx(1.0)
    assert half.errors["missed"].count == 4


def test_the_names_of_the_detectors_own_classes_count(dataset: CocoLikeDataset) -> None:
    class Reversed(PerfectDetector):
        classes = (*reversed(dataset.classes), "Hat")

        def detect(self, images: list[torch.Tensor]) -> list[Instances]:
            return [replace(f, classes=len(dataset.classes) + 1 - f.classes) for f in super().detect(images)]

    metrics = evaluate_network(Reversed(dataset, 9), dataset, resamples=0)
    assert metrics.overall["mask_AP"] == pytest.approx(1.0)

    class Unnamed(PerfectDetector):
        def detect(self, images: list[torch.Tensor]) -> list[Instances]:
            return [replace(found, classes=found.classes + 1) for found in super().detect(images)]

    with pytest.raises(DataError, match="the detector finds class 3, but only 1 to 2 have names"):
        evaluate_network(Unnamed(dataset, 9), dataset, resamples=0)


def test_a_dataset_that_was_not_loaded_from_a_file_is_refused() -> None:
    nothing = CocoLikeDataset().prepare()
    with pytest.raises(DataError, match="loaded from a file"):
        evaluate_network(PerfectDetector(nothing, 1), nothing)
