"""Objects with a box and no mask in the ground truth, against pycocotools."""

from typing import Any

import numpy as np
import pytest
from pycocotools import mask as pycoco

from clothseg.evaluation import Metrics, evaluate_coco
from clothseg.evaluation.comparison.semantic import semantic_counts
from clothseg.evaluation.evaluate import headline_metrics
from clothseg.evaluation.truth import read_truth
from clothseg.instances import encode
from clothseg.report.choice import agreement
from clothseg.report.reading import to_instances

from .conftest import Tree, generated, referee

NAMES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR_1", "AR_10", "AR_100")


def some_without_masks(seed: int, every: int = 3) -> tuple[Tree, Tree, list[Any], int]:
    """Ground truth in which some objects have only a box, the same with those as crowds in their boxes, detections."""
    truth, results = generated(seed, photos=8)
    as_crowds, count = [], 0
    for number, row in enumerate(truth["annotations"]):
        crowd = dict(row)
        if number % every == 0 and not row["iscrowd"]:
            count += 1
            x, y, w, h = row["bbox"]
            corners = [x, y, x + w, y, x + w, y + h, x, y + h]
            crowd |= {"segmentation": pycoco.frPyObjects([corners], 160, 200)[0], "iscrowd": 1}
            del row["segmentation"]
        as_crowds.append(crowd)
    return truth, truth | {"annotations": as_crowds}, results, count


@pytest.mark.parametrize("seed", range(6))
def test_boxes_are_judged_by_all_objects_and_masks_by_those_with_masks(seed: int) -> None:
    truth, as_crowds, results, count = some_without_masks(seed)
    metrics = evaluate_coco(truth, results, resamples=0)
    assert metrics.box_only == count > 0
    for kind, library, expected_truth in (("box", "bbox", truth), ("mask", "segm", as_crowds)):
        stats, _ = referee(expected_truth, results, library)
        for name, expected in zip(NAMES, stats, strict=False):
            ours = metrics.overall[f"{kind}_{name}"]
            assert (-1 if ours is None else ours) == pytest.approx(expected, abs=1e-9), (kind, name)
    same = evaluate_coco(as_crowds, results, resamples=0)
    for name in ("boundary_AP", "boundary_AP50", "report_mAP", "mask_AP"):
        assert metrics.overall[name] == pytest.approx(same.overall[name], nan_ok=True), name
    assert metrics.errors == same.errors and metrics.confusion == same.confusion
    assert metrics.thresholds == same.thresholds
    assert Metrics.from_json(metrics.to_json()) == metrics
    objects = sum(not row["iscrowd"] for row in truth["annotations"])
    assert sum(part.instances for part in metrics.classes.values()) == objects
    note = f"{count} of {objects} objects of the ground truth have a box and no mask. They are judged for boxes only"
    assert any(text.startswith(note) for text in metrics.notes)
    headline = headline_metrics(read_truth(truth), results, 0.05)
    assert headline == pytest.approx({name: metrics.overall[name] for name in headline})


def test_intervals_are_those_of_the_same_objects_as_crowds() -> None:
    truth, as_crowds, results, _ = some_without_masks(2)
    one, other = (evaluate_coco(tree, results, resamples=20) for tree in (truth, as_crowds))
    for name in ("mask_AP", "mask_AP50", "boundary_AP", "report_mAP"):
        assert one.intervals[name] == other.intervals[name], name


def test_in_a_label_map_the_box_of_an_object_without_a_mask_does_not_count() -> None:
    truth, as_crowds, results, _ = some_without_masks(5)
    counts, expected = (semantic_counts(read_truth(tree), results, 0.3) for tree in (truth, as_crowds))
    np.testing.assert_array_equal(counts.iou(), expected.iou())
    assert counts.truth.sum() < 8 * 160 * 200


def test_an_old_metrics_file_has_no_boxes() -> None:
    truth, results = generated(1)
    text = evaluate_coco(truth, results, resamples=0).to_json().replace('  "box_only": 0', '  "truth": ""', 1)
    assert '"box_only"' not in text
    assert Metrics.from_json(text).box_only == 0


def test_without_any_mask_there_are_only_box_metrics() -> None:
    truth, _, results, count = some_without_masks(3, every=1)
    metrics = evaluate_coco(truth, results, resamples=0)
    assert count == metrics.box_only
    assert metrics.overall["mask_AP"] is None and metrics.overall["box_AP"] is not None
    assert any("has a segmentation, so mask metrics are left out" in note for note in metrics.notes)


def test_a_detection_in_the_box_is_neither_right_nor_wrong() -> None:
    """One object with a mask and one with a box; detections on both, one of another class in the box, one elsewhere."""
    grid = np.zeros((40, 60), dtype=bool)

    def part(x: int, y: int, w: int, h: int) -> Tree:
        mask = grid.copy()
        mask[y : y + h, x : x + w] = True
        return {"segmentation": encode(mask), "bbox": [x, y, w, h], "image_id": 1}

    truth: Tree = {
        "images": [{"id": 1, "height": 40, "width": 60}],
        "categories": [{"id": 1, "name": "A"}, {"id": 2, "name": "B"}],
        "annotations": [
            {**part(2, 2, 10, 10), "id": 1, "category_id": 1, "iscrowd": 0, "area": 100},
            {"image_id": 1, "bbox": [20, 2, 20, 30], "id": 2, "category_id": 1, "iscrowd": 0, "area": 600},
            {**part(50, 30, 8, 8), "id": 3, "category_id": 2, "iscrowd": 0, "area": 64},
        ],
    }
    in_box = {**part(24, 4, 12, 26), "category_id": 1, "score": 0.9}
    hit = {**part(2, 2, 10, 10), "category_id": 1, "score": 0.8}
    assert evaluate_coco(truth, [in_box, hit], resamples=0).classes["A"].values["mask_AP50"] == pytest.approx(1)
    outside = {**part(44, 4, 12, 26), "category_id": 1, "score": 0.9}
    assert evaluate_coco(truth, [outside, hit], resamples=0).classes["A"].values["mask_AP50"] == pytest.approx(0.5)
    other = {**in_box, "category_id": 2}
    right = {**part(50, 30, 8, 8), "category_id": 2, "score": 0.8}
    assert evaluate_coco(truth, [other, right], resamples=0).classes["B"].values["mask_AP50"] == pytest.approx(0.5)


def test_the_report_draws_boxes_and_does_not_count_them_as_missed() -> None:
    truth, as_crowds, results, _ = some_without_masks(4)
    known = read_truth(truth)
    image = known.images[0]
    drawn = to_instances(known.by_photo[image["id"]], image)
    assert len(drawn) == len(known.by_photo[image["id"]])
    assert (~drawn.has_mask).sum() == sum("segmentation" not in a for a in known.by_photo[image["id"]])
    found = to_instances([row for row in results if row["image_id"] == image["id"]], image)
    judged = [read_truth(tree).for_masks.by_photo[image["id"]] for tree in (truth, as_crowds)]
    one, other = (agreement(found, to_instances(rows, image)) for rows in judged)
    assert one == other
