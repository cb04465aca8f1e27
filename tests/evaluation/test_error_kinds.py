"""One planted mistake of each kind: counted, priced against pycocotools on the corrected data, and in the confusion."""

import contextlib
import io
from collections import Counter
from typing import Any

import numpy as np
import pytest

from clothseg.evaluation import coco, evaluate_coco
from clothseg.evaluation.error_kinds import DetectionError, detection_errors
from clothseg.evaluation.truth import read_truth
from clothseg.evaluation.values import Confusion
from clothseg.instances import mask_iou

Tree = dict[str, Any]
PLACE, NEAR, FAR = [20.0, 20, 40, 40], [40.0, 20, 40, 40], [120.0, 120, 40, 40]  # NEAR overlaps PLACE by a third
A, B = 1, 2


def planted() -> tuple[Tree, list[Tree]]:
    """Photos 1 and 8 are right; 2 class, 3 location, 4 both, 5 duplicate, 6 background, 7 missed; 9 is empty."""
    objects = [(1, A), (2, A), (3, A), (4, A), (5, A), (7, A), (8, B)]
    found = [
        (1, A, PLACE, 0.9),
        (2, B, PLACE, 0.95),
        (3, A, NEAR, 0.85),
        (4, B, NEAR, 0.84),
        (5, A, PLACE, 0.7),
        (5, A, PLACE, 0.65),
        (6, A, FAR, 0.8),
        (8, B, PLACE, 0.5),
    ]
    truth = {
        "images": [{"id": n, "height": 200, "width": 200} for n in range(1, 10)],
        "annotations": [
            {"id": n, "image_id": photo, "category_id": c, "bbox": PLACE, "area": 1600.0, "iscrowd": 0}
            for n, (photo, c) in enumerate(objects, 1)
        ],
        "categories": [{"id": A, "name": "A"}, {"id": B, "name": "B"}],
    }
    keys = ("image_id", "category_id", "bbox", "score")
    return truth, [dict(zip(keys, row, strict=True)) for row in found]


def ap50(truth: Tree, results: list[Tree]) -> float:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = truth
        ground.createIndex()
        evaluator = COCOeval(ground, ground.loadRes(results), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return float(evaluator.stats[1])


def test_every_kind_is_counted_and_costs_what_putting_it_right_brings() -> None:
    truth, results = planted()
    errors = evaluate_coco(truth, results, resamples=0).errors
    counts = {name: kind.count for name, kind in errors.items()}
    # Nothing stands for the object of photo 4, so it is missed as well as that of photo 7.
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


def test_confusion_with_background() -> None:
    truth, results = planted()
    evaluator = coco.run_evaluator(read_truth(truth), results, "box")
    everything = coco.confusion(evaluator, 0.0)
    assert everything == Confusion(("A", "B"), ((2, 1, 3), (0, 1, 0), (3, 1, 0)), 0.0)
    assert coco.confusion(evaluator, 0.7).counts == ((2, 1, 3), (0, 0, 1), (2, 1, 0))


def test_false_alarms_on_photos_without_objects() -> None:
    truth, results = planted()
    metrics = evaluate_coco(truth, [*results, results[-1] | {"image_id": 6, "score": 0.01}], resamples=0)
    alarms, best = metrics.false_positives_on_empty, metrics.threshold
    assert alarms is not None
    assert best is not None
    assert (alarms.photos, alarms.alarmed, alarms.detections, alarms.threshold) == (2, 1, 1, best.score)
    truth["images"] = [i for i in truth["images"] if i["id"] not in (6, 9)]
    kept = [r for r in results if r["image_id"] != 6]
    assert evaluate_coco(truth, kept, resamples=0).false_positives_on_empty is None


def test_curves_are_the_referees(seed: int = 3) -> None:
    from .test_coco import generated, referee

    truth, results = generated(seed, photos=10)
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


@pytest.mark.parametrize("seed", range(12))
def test_mistakes_photo_by_photo_are_as_many_as_the_library_counts(seed: int) -> None:
    from .test_coco import generated

    tree, results = generated(seed, photos=8, ties=False)
    truth = read_truth(tree | {"annotations": [a | {"iscrowd": 0} for a in tree["annotations"]]})
    counted = {name: kind.count for name, kind in coco.tide_errors(coco.run_evaluator(truth, results, "mask")).items()}
    ours: Counter[str] = Counter(dict.fromkeys(counted, 0))
    for photo in truth.photos:
        found = sorted((r for r in results if r["image_id"] == photo), key=lambda r: -r["score"])
        objects = [a for a in truth.annotations if a["image_id"] == photo]
        overlap = mask_iou([r["segmentation"] for r in found], [a["segmentation"] for a in objects])
        labels, classes = (np.array([r["category_id"] for r in rows], dtype=np.int64) for rows in (found, objects))
        ours.update(m.kind for m in detection_errors(overlap, labels, classes, np.zeros(len(objects), dtype=bool)))
    assert dict(ours) == counted


def test_a_mistake_names_its_detection_its_object_and_their_overlap() -> None:
    overlap = np.array([[0.8, 0.0, 0.0], [0.6, 0.0, 0.0], [0.0, 0.3, 0.0], [0.05, 0.7, 0.0], [0.0, 0.0, 0.9]])
    found, classes = np.array([1, 1, 1, 1, 1]), np.array([1, 2, 1])
    crowd = np.array([False, False, True])
    assert detection_errors(overlap, found, classes, crowd) == [
        DetectionError("duplicate", 1, 0, 0.6),
        DetectionError("both", 2, 1, 0.3),
        DetectionError("class", 3, 1, 0.7),  # so object 1 is not missed; detection 4 lies on a crowd
    ]
    nothing = np.zeros((0, 0)), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
    assert detection_errors(*nothing) == []
    alone = detection_errors(np.zeros((1, 0)), np.array([1]), nothing[2], nothing[3])
    assert alone == [DetectionError("background", 0, None, 0.0)]
    unseen = detection_errors(np.zeros((0, 1)), nothing[1], np.array([1]), np.array([False]))
    assert unseen == [DetectionError("missed", None, 0, 0.0)]
