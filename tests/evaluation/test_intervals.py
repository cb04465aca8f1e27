"""A bootstrap sample against pycocotools on a dataset that really contains the drawn photos twice."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from clothseg.evaluation import evaluate_coco
from clothseg.evaluation.coco import matches
from clothseg.evaluation.intervals import RECALLS, ResampledMetrics, Resampler, hits_for_recalls, intervals
from clothseg.evaluation.matches import THRESHOLDS, ClassMatches
from clothseg.evaluation.truth import read_truth
from clothseg.evaluation.values import Interval

from .conftest import referee

Tree = dict[str, Any]


def generated(rng: np.random.Generator, photos: int) -> tuple[Tree, list[Tree]]:
    """Boxes of three classes with crowds; scores tie between photos, never on one photo."""
    annotations: list[Tree] = []
    results: list[Tree] = []
    for photo in range(photos):
        scores = iter(rng.permutation(np.arange(40) / 40))
        for _ in range(int(rng.integers(0, 5))):
            x, y, w, h = (float(v) for v in rng.integers(10, 60, 4))
            annotation = {"image_id": photo, "category_id": int(rng.integers(1, 4)), "bbox": [x, y, w, h]}
            crowd = int(rng.random() < 0.2)
            annotations.append(annotation | {"id": len(annotations) + 1, "area": w * h, "iscrowd": crowd})
            results += [annotation | moved for moved in _near(rng, x, y, w, h, scores)]
    truth = {
        "images": [{"id": photo, "height": 120, "width": 120} for photo in range(photos)],
        "annotations": annotations,
        "categories": [{"id": c, "name": str(c)} for c in (1, 2, 3)],
    }
    return truth, results


def _near(rng: np.random.Generator, x: float, y: float, w: float, h: float, scores: Iterator[float]) -> list[Tree]:
    return [
        {"bbox": [x + float(rng.normal(0, 2)), y + float(rng.normal(0, 2)), w, h], "score": float(next(scores))}
        for _ in range(int(rng.integers(0, 4)))
    ]


def resampler(truth: Tree, results: list[Any]) -> Resampler:
    return Resampler(list(matches(read_truth(truth), results, "box").values()))


def of_matches(one: ClassMatches, photos: int, resamples: int) -> dict[str, Interval]:
    return intervals(ResampledMetrics({"mask": Resampler([one])}, None, photos), resamples=resamples)


def copied(truth: Tree, results: list[Tree], counts: list[int]) -> tuple[Tree, list[Tree]]:
    """The dataset that contains photo p `counts[p]` times with new ids, copies side by side."""
    images: list[Tree] = []
    annotations: list[Tree] = []
    found: list[Tree] = []
    for photo, count in enumerate(counts):
        for _ in range(count):
            new = {"image_id": len(images) + 1}
            images.append({"id": new["image_id"], "height": 120, "width": 120})
            for annotation in truth["annotations"]:
                if annotation["image_id"] == photo:
                    annotations.append(annotation | new | {"id": len(annotations) + 1})
            found += [r | new for r in results if r["image_id"] == photo]
    return truth | {"images": images, "annotations": annotations}, found


@pytest.mark.parametrize("seed", range(12))
def test_a_sample_has_exactly_the_ap_of_the_copied_photos(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, results = generated(rng, photos=9)
    counts = np.bincount(rng.integers(0, 9, 9), minlength=9)
    ours = resampler(truth, results).average_precision(counts[None])[0]
    ap, ap50 = referee(*copied(truth, results, counts.tolist()), "bbox")[0][:2]
    assert ours.mean() == pytest.approx(ap, abs=1e-9)
    assert ours[0] == pytest.approx(ap50, abs=1e-9)


def test_samples_together_have_the_values_that_each_has_alone() -> None:
    """Among them one without any object and one whose photos have no detection."""
    rng = np.random.default_rng(1)
    truth, results = generated(rng, photos=9)
    empty = [photo not in {a["image_id"] for a in truth["annotations"] if not a["iscrowd"]} for photo in range(9)]
    assert any(empty)
    drawn = np.stack([np.bincount(rng.integers(0, 9, 9), minlength=9) for _ in range(40)] + [np.array(empty) * 3])
    several = resampler(truth, results)
    together = several.average_precision(drawn)
    alone = [several.average_precision(counts[None])[0] for counts in drawn]
    assert np.array_equal(together, np.stack(alone), equal_nan=True)
    assert np.isnan(together[-1]).all()
    assert not np.isnan(together[:-1]).any()


def test_the_hits_that_a_recall_needs_are_those_of_a_search_among_all_recalls() -> None:
    for objects in (*range(1, 400), 9_999, 36_781):
        expected = np.searchsorted(np.arange(objects + 1) / objects, RECALLS)
        assert np.array_equal(hits_for_recalls(np.array([objects]))[0], expected), objects


def test_every_photo_once_gives_the_metric_itself() -> None:
    truth, results = generated(np.random.default_rng(5), photos=20)
    metrics = evaluate_coco(truth, results, resamples=200, seed=3)
    once = resampler(truth, results).average_precision(np.ones((1, 20), dtype=np.int64))[0]
    interval = metrics.intervals["box_AP50"]
    assert once[0] == pytest.approx(metrics.overall["box_AP50"], abs=1e-9)
    assert interval.low < once[0] < interval.high
    assert interval == evaluate_coco(truth, results, resamples=200, seed=3).intervals["box_AP50"]
    assert interval != evaluate_coco(truth, results, resamples=200, seed=4).intervals["box_AP50"]


def test_the_interval_covers_a_known_value_in_95_percent_of_cases() -> None:
    """One object and one detection per photo, right with probability 0.6, so AP is close to 0.36."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(100):
        hits = rng.random(60) < 0.6
        photo = np.arange(60)
        one = ClassMatches(photo, np.ones(60), hits[None], np.zeros((1, 60), bool), np.ones(60, np.int64))
        ap = Resampler([one]).average_precision(np.ones((1, 60), dtype=np.int64))[0, 0]
        interval = of_matches(one, 60, resamples=100)["mask_AP50"]
        assert interval.low <= ap <= interval.high
        inside += interval.low <= 0.36 <= interval.high  # recall 0.6 at precision 0.6
    assert 85 <= inside <= 100


def test_without_photos_or_objects_there_is_no_interval() -> None:
    nothing = ClassMatches(
        np.zeros(0, np.int64),
        np.zeros(0),
        np.zeros((THRESHOLDS, 0), bool),
        np.zeros((THRESHOLDS, 0), bool),
        np.zeros(3, np.int64),
    )
    assert of_matches(nothing, 3, resamples=10) == {}
    assert of_matches(nothing, 0, resamples=10) == {}
