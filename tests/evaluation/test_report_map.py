"""The report's protocol: photos by hand, and generated ones counted in another way."""

from typing import Any

import numpy as np
import pytest

from clothseg.evaluation import evaluate_coco
from clothseg.evaluation.report_map import PerImageAP, per_image_ap
from clothseg.evaluation.truth import read_truth
from clothseg.instances import decode, encode

from .conftest import generated

Tree = dict[str, Any]
SIZE = (60, 100)


def row(photo: int, class_id: int, x: int, width: int = 20, **more: Any) -> Tree:
    """A rectangle of 20 rows, from column `x`."""
    mask = np.zeros(SIZE, dtype=bool)
    mask[10:30, x : x + width] = True
    return {"image_id": photo, "category_id": class_id, "segmentation": encode(mask)} | more


def of_photos(objects: list[Tree], found: list[Any], photos: int = 1, least: float = 0.05) -> list[float]:
    tree = {
        "images": [{"id": n, "height": SIZE[0], "width": SIZE[1]} for n in range(photos)],
        "annotations": [o | {"id": n} for n, o in enumerate(objects)],
        "categories": [{"id": 1, "name": "Suit"}, {"id": 2, "name": "Dress"}],
    }
    return [float(value) for value in per_image_ap(read_truth(tree), found, least).values]


def test_the_first_detection_takes_its_object() -> None:
    """If position 0 counts as free, as in the first implementation, the second detection is right too and AP is 1."""
    objects = [row(0, 1, 0), row(0, 1, 60)]
    assert of_photos(objects, [row(0, 1, 0, score=0.9), row(0, 1, 1, score=0.8)]) == [0.5]


def test_equal_scores_keep_their_order() -> None:
    right, wrong = row(0, 1, 0, score=0.5), row(0, 1, 60, score=0.5)
    assert of_photos([row(0, 1, 0)], [right, wrong]) == [1.0]
    assert of_photos([row(0, 1, 0)], [wrong, right]) == [0.5]


def test_all_classes_are_in_one_ranking_and_must_agree() -> None:
    objects = [row(0, 1, 0), row(0, 2, 60)]
    found = [row(0, 1, 60, score=0.9), row(0, 1, 0, score=0.8), row(0, 2, 60, score=0.7)]
    # wrong, right, right: precision 0, 1/2, 2/3, made non-increasing 2/3 at both steps of recall
    assert of_photos(objects, found) == [pytest.approx(2 / 3)]


def test_an_iou_of_one_half_is_enough() -> None:
    assert of_photos([row(0, 1, 0, 20)], [row(0, 1, 0, 40, score=0.9)]) == [1.0]
    assert of_photos([row(0, 1, 0, 20)], [row(0, 1, 0, 41, score=0.9)]) == [0.0]


def test_if_the_best_object_is_taken_the_next_best_counts() -> None:
    objects = [row(0, 1, 0, 20), row(0, 1, 4, 20)]
    found = [row(0, 1, 1, 20, score=0.9), row(0, 1, 0, 20, score=0.8)]
    assert of_photos(objects, found) == [1.0]


def test_a_score_at_the_threshold_counts() -> None:
    objects = [row(0, 1, 0)]
    assert of_photos(objects, [row(0, 1, 0, score=0.7)], least=0.7) == [1.0]
    assert of_photos(objects, [row(0, 1, 0, score=0.69)], least=0.7) == [0.0]


def test_photos_without_objects_are_left_out_and_without_detections_count_as_0() -> None:
    values = of_photos([row(0, 1, 0), row(2, 1, 0)], [row(0, 1, 0, score=1), row(1, 1, 0, score=1)], photos=3)
    assert np.isnan(values[1])
    assert (values[0], values[2]) == (1.0, 0.0)
    assert PerImageAP(np.array(values)).mean() == 0.5
    assert PerImageAP(np.array(values)).means(np.array([[3, 9, 1], [0, 2, 0]])).tolist() == pytest.approx(
        [0.75, np.nan], nan_ok=True
    )
    assert PerImageAP(np.array([np.nan])).mean() is None


def test_detections_on_crowds_do_not_count() -> None:
    crowd = row(0, 1, 40, 60, iscrowd=1)
    found = [row(0, 1, 50, score=0.9), row(0, 1, 0, score=0.8)]
    assert of_photos([row(0, 1, 0), crowd], found) == [1.0]
    assert of_photos([row(0, 1, 0), crowd | {"category_id": 2}], found) == [0.5]
    assert np.isnan(of_photos([crowd], found)[0])


def counted_differently(tree: Tree, results: list[Tree], least: float) -> list[float]:
    """Uses pixels instead of run lengths, removes objects from a list, and searches the precision at every recall."""
    answer = []
    for image in tree["images"]:
        truths = [
            (a["category_id"], decode(a["segmentation"]), a["iscrowd"])
            for a in tree["annotations"]
            if a["image_id"] == image["id"]
        ]
        left = [t for t in truths if not t[2]]
        crowds = [t for t in truths if t[2]]
        count = len(left)
        mine = [r for r in results if r["image_id"] == image["id"] and r["score"] >= least]
        marks = []
        for result in sorted(mine, key=lambda r: -r["score"]):
            mask, class_id = decode(result["segmentation"]), result["category_id"]
            same = [
                (float((m & mask).sum() / (m | mask).sum()), -n) for n, (c, m, _) in enumerate(left) if c == class_id
            ]
            best = max(same, default=(0.0, 0))
            if best[0] >= 0.5:
                left.pop(-best[1])
                marks.append(True)
            elif not any(c == class_id and (m & mask).sum() / mask.sum() >= 0.5 for c, m, _ in crowds):
                marks.append(False)
        points = [(sum(marks[: n + 1]), sum(marks[: n + 1]) / (n + 1)) for n in range(len(marks))]
        steps = [max((p for r, p in points if r >= wanted), default=0.0) for wanted in range(1, count + 1)]
        answer.append(sum(steps) / count if count else float("nan"))
    return answer


@pytest.mark.parametrize("seed", range(4))
def test_generated_photos(seed: int) -> None:
    tree, results = generated(seed, photos=12)
    ours = per_image_ap(read_truth(tree), results, 0.3).values
    assert ours.tolist() == pytest.approx(counted_differently(tree, results, 0.3), abs=1e-12, nan_ok=True)
    assert len(set(ours[~np.isnan(ours)].tolist())) > 3


def test_the_metric_has_its_own_name_interval_and_protocol() -> None:
    tree, results = generated(2, photos=12)
    metrics = evaluate_coco(tree, results, score_threshold=0.3, resamples=30)
    assert metrics.overall["report_mAP"] == pytest.approx(np.nanmean(counted_differently(tree, results, 0.3)))
    assert metrics.report_score_threshold == 0.3
    interval = metrics.intervals["report_mAP"]
    assert interval.low < (metrics.overall["report_mAP"] or 0) < interval.high
    assert "not COCO's; score from 0.30" in metrics.table()
    itself = [a | {"score": 0.9} for a in tree["annotations"]]
    assert evaluate_coco(tree, itself, resamples=0).overall["report_mAP"] == 1.0
