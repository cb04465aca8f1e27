"""COCO's metrics, curves, confusion matrix and errors by kind against pycocotools."""

import numpy as np
import pytest

from clothseg.evaluation import coco, evaluate_coco
from clothseg.evaluation.truth import read_truth
from clothseg.evaluation.values import Confusion

from .conftest import PLACE, A, Tree, generated, planted, referee


@pytest.mark.parametrize("seed", range(8))
def test_metrics_equal_those_of_pycocotools(seed: int) -> None:
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
            ours = metrics.classes[f"class {class_id}"].values[f"{kind}_AP50"]
            assert (-1 if ours is None else ours) == pytest.approx(expected, abs=1e-9)


def test_precision_recall_curves_equal_those_of_pycocotools() -> None:
    truth, results = generated(3, photos=10)
    truth["categories"].append({"id": 9, "name": "never there"})
    metrics = evaluate_coco(truth, results, resamples=0)
    _, precision = referee(truth, results, "segm")
    assert set(metrics.curves) == {"class 2", "class 5", "class 7"}
    for position, class_id in enumerate((2, 5, 7)):
        curve = metrics.curves[f"class {class_id}"]
        assert curve.precision == pytest.approx(precision[0, :, position, 0, -1], abs=1e-9)
        known = [score for score, value in zip(curve.scores, curve.precision, strict=True) if value > 0]
        assert known == sorted(known, reverse=True)
        assert np.isin(np.round(known, 1), np.round([r["score"] for r in results], 1)).all()


def ap50(truth: Tree, results: list[Tree]) -> float:
    return referee(truth, results, "bbox")[0][1]


def test_each_error_kind_is_counted_and_its_cost_is_the_gain_in_ap50() -> None:
    truth, results = planted()
    errors = evaluate_coco(truth, results, resamples=0).errors
    counts = {name: kind.count for name, kind in errors.items()}
    # An error of kind "both" belongs to no object, so the object of photo 4 is missed, like that of photo 7.
    assert counts == {"class": 1, "location": 1, "both": 1, "duplicate": 1, "background": 1, "missed": 2}
    before = ap50(truth, results)
    right: dict[str, tuple[Tree, list[Tree]]] = {
        "class": (truth, [r | ({"category_id": A} if r["image_id"] == 2 else {}) for r in results]),
        "location": (truth, [r | ({"bbox": PLACE} if r["image_id"] == 3 else {}) for r in results]),
        "both": (truth, [r for r in results if r["image_id"] != 4]),
        "duplicate": (truth, [r for r in results if r["score"] != 0.65]),
        "background": (truth, [r for r in results if r["image_id"] != 6]),
        "missed": (
            truth | {"annotations": [a for a in truth["annotations"] if a["image_id"] not in (4, 7)]},
            results,
        ),
    }
    for name, (corrected, detections) in right.items():
        assert errors[name].cost == pytest.approx(ap50(corrected, detections) - before, abs=1e-9), name
    assert errors["location"].cost > 0.05


def test_the_confusion_matrix_has_a_background_row_and_column() -> None:
    truth, results = planted()
    evaluator = coco.run_evaluator(read_truth(truth), results, "box")
    everything = coco.confusion(evaluator, 0.0)
    assert everything == Confusion(("A", "B"), ((2, 1, 3), (0, 1, 0), (3, 1, 0)), 0.0)
    assert coco.confusion(evaluator, 0.7).counts == ((2, 1, 3), (0, 0, 1), (2, 1, 0))
