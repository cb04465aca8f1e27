"""The same samples for all sides: against pycocotools on datasets that contain the drawn photos, and by hand."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clothseg.evaluation.comparison.resampling import differences, sample_sides
from clothseg.evaluation.evaluate import metrics_for_resampling
from clothseg.evaluation.intervals import draws
from clothseg.evaluation.truth import read_truth

from ..conftest import Tree, generated, referee


def copied(truth: Tree, results: list[Any], counts: NDArray[np.int64]) -> tuple[Tree, list[Any]]:
    """The dataset that contains photo p `counts[p]` times, with new ids."""
    images: list[Tree] = []
    annotations: list[Tree] = []
    found: list[Tree] = []
    for image, count in zip(truth["images"], counts.tolist(), strict=True):
        for _ in range(count):
            new = {"image_id": len(images) + 1}
            images.append(image | {"id": new["image_id"]})
            of_photo = [a for a in truth["annotations"] if a["image_id"] == image["id"]]
            annotations += [a | new | {"id": len(annotations) + n} for n, a in enumerate(of_photo)]
            found += [r | new for r in results if r["image_id"] == image["id"]]
    return truth | {"images": images, "annotations": annotations}, found


def test_the_interval_of_a_difference_is_that_of_the_referee() -> None:
    """Every sample is evaluated by pycocotools; the quantiles of its differences are the interval."""
    truth, results = generated(4, photos=10, ties=False)
    worse = results[::2]
    theirs = []
    for counts in next(draws(10, 12, 3)):
        ap = [referee(*copied(truth, rows, counts), "segm")[0][0] for rows in (worse, results)]
        theirs.append(ap[1] - ap[0])
    known = read_truth(truth)
    sides = [[metrics_for_resampling(known, rows, 0.05)] for rows in (worse, results)]
    first, second = sample_sides(sides, 10, resamples=12, seed=3)
    interval = differences(first, second, level=0.8, seed=3)["mask_AP"].interval
    assert [interval.low, interval.high] == pytest.approx(np.quantile(theirs, [0.1, 0.9]).tolist(), abs=1e-9)


class PhotoMean:
    """A metric that is the mean of a value for each photo."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self.values = values

    def of(self, photo_counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        return {"mean": photo_counts @ self.values / photo_counts.sum(axis=1)}


def spread(values: NDArray[np.float64]) -> float:
    return float(values.std())


def test_seeds_widen_the_interval_as_the_theory_says() -> None:
    """Each photo has a value, each seed adds its own: the variance of the mean is the sum of both parts.

    Of S seeds drawn with replacement, the mean has the variance of their values (divided by S) over S.
    """
    rng = np.random.default_rng(0)
    photos, seeds = rng.normal(0, 1, 40), np.array([-1.0, 0.2, 1.5, 0.4])
    runs = [PhotoMean(photos + seed) for seed in seeds]
    (side,) = sample_sides([runs], 40, resamples=4000, seed=1)
    assert side.values["mean"] == pytest.approx(photos.mean() + seeds.mean())
    expected = np.sqrt(photos.var() / 40 + seeds.var() / 4)
    assert spread(side.samples["mean"]) == pytest.approx(expected, rel=0.05)
    (alone,) = sample_sides([runs[:1]], 40, resamples=4000, seed=1)
    assert spread(alone.samples["mean"]) == pytest.approx(np.sqrt(photos.var() / 40), rel=0.05)


def test_what_photos_and_seeds_have_in_common_cancels_out_if_they_are_paired() -> None:
    rng = np.random.default_rng(0)
    photos, seeds = rng.normal(0, 1, 20), np.array([-1.0, 0.2, 1.5])
    sides = [[PhotoMean(photos + seed + shift) for seed in seeds] for shift in (0.0, 0.25)]
    paired = differences(*sample_sides(sides, 20, seeds=["s", "s"], resamples=200, seed=0), level=0.95, seed=0)["mean"]
    assert (paired.interval.low, paired.interval.high) == pytest.approx((0.25, 0.25))
    apart = differences(*sample_sides(sides, 20, seeds=["s", "t"], resamples=200, seed=0), level=0.95, seed=0)["mean"]
    assert apart.interval.low < -0.5
    assert apart.interval.high > 0.9


def test_several_runs_draw_the_same_photos_as_one() -> None:
    values = np.random.default_rng(2).normal(0, 1, 15)
    one, three = sample_sides([[PhotoMean(values)], [PhotoMean(values)] * 3], 15, resamples=50, seed=5)
    np.testing.assert_allclose(one.samples["mean"], three.samples["mean"])
