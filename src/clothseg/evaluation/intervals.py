"""How much a metric would change with other photos: bootstrap intervals over the photos.

A bootstrap sample draws as many photos as there are, with replacement. A photo that is drawn twice counts twice, with
its objects and its detections. Matching is per photo, so it runs once; each sample only ranks and counts again. The
result is exactly the AP of the drawn photos. Equal scores are ranked in the order of the photos, as COCO's evaluator
does, and copies of one detection are consecutive.
Source: Efron and Tibshirani, "An Introduction to the Bootstrap", chapter 13 (percentile interval).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clothseg.evaluation.matches import THRESHOLDS, ClassMatches
from clothseg.evaluation.report_map import PerImageAP
from clothseg.evaluation.values import Interval

RECALLS = np.linspace(0.0, 1.0, 101)
_EPSILON = np.spacing(1)
_SAMPLES_AT_ONCE = 50
_COUNTS_AT_ONCE = 1_000_000  # detections times samples; a few arrays of this size exist at a time


class _ThresholdCurve:
    """Average precision of ranked detections at one IoU threshold, for any weights of the photos.

    COCO interpolates with the best precision from a recall on, and between hits precision only falls. So precision and
    recall are needed only at the hits; other detections are only counted.
    """

    def __init__(self, hits: NDArray[np.bool_], ignored: NDArray[np.bool_]) -> None:
        self.hits = np.flatnonzero(hits & ~ignored)
        self.ignored = np.flatnonzero(ignored)
        self.ignored_before = np.searchsorted(self.ignored, self.hits)

    def average_precision(
        self, weights: NDArray[np.int64], ranks: NDArray[np.int64], objects: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """`[S]`: the area under the precision-recall curve in each sample.

        Args:
            weights: `[S, D]` int, how often each detection counts.
            ranks: `[S, D]` int, the running sums of `weights`.
            objects: `[S]` number of objects, each at least 1.
        """
        samples = len(weights)
        if len(self.hits) == 0:
            return np.zeros(samples)
        hits = np.cumsum(weights[:, self.hits], axis=1)
        ignored = np.zeros((samples, len(self.ignored) + 1), dtype=np.int64)
        np.cumsum(weights[:, self.ignored], axis=1, out=ignored[:, 1:])
        counted = ranks[:, self.hits] - ignored[:, self.ignored_before]
        precision = np.zeros((samples, len(self.hits) + 1))  # 0 where a recall is not reached
        precision[:, :-1] = hits / (counted + _EPSILON)
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        first = _first_in_rows(hits, hits_for_recalls(objects))
        means: NDArray[np.float64] = np.take_along_axis(precision, first, axis=1).mean(axis=1)
        return means


def hits_for_recalls(objects: NDArray[np.int64]) -> NDArray[np.int64]:
    """`[S, 101]`: the smallest number of hits that is a recall of at least each of `RECALLS`, as COCO divides."""
    total = objects[:, None].astype(np.float64)
    hits = np.ceil(RECALLS * total)
    hits -= (hits - 1) / total >= RECALLS
    hits += hits / total < RECALLS
    return np.maximum(hits, 0).astype(np.int64)


def _first_in_rows(rising: NDArray[np.int64], least: NDArray[np.int64]) -> NDArray[np.int64]:
    """`[S, N]`: in each row of `rising` `[S, H]`, the first position with at least each value of `least` `[S, N]`.

    H where no value is that large. All rows are searched at once: each is lifted above the one before.
    """
    samples, width = rising.shape
    lift = (max(int(rising.max()), int(least.max())) + 1) * np.arange(samples)[:, None]
    found = np.searchsorted((rising + lift).ravel(), (least + lift).ravel())
    positions: NDArray[np.int64] = found.reshape(least.shape) - width * np.arange(samples)[:, None]
    return positions


class Resampler:
    """Computes AP for any weights of the photos, from the matches of every class."""

    def __init__(self, classes: Sequence[ClassMatches]) -> None:
        self.classes = [matches.ranked() for matches in classes]
        self.curves = [
            [_ThresholdCurve(hits, ignored) for hits, ignored in zip(c.hits, c.ignored, strict=True)]
            for c in self.classes
        ]

    def average_precision(self, photo_counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """`[S, T]` AP in each sample at each IoU threshold, the mean over classes with objects; NaN where none has any.

        Args:
            photo_counts: `[S, P]` int, how often each photo counts in each sample.
        """
        total = np.zeros((len(photo_counts), THRESHOLDS))
        classes = np.zeros(len(photo_counts))
        for matches, curves in zip(self.classes, self.curves, strict=True):
            objects = photo_counts @ matches.objects
            classes += objects > 0
            step = max(1, _COUNTS_AT_ONCE // max(1, len(matches.photo)))
            for part in (slice(first, first + step) for first in range(0, len(photo_counts), step)):
                total[part] += _class_ap(photo_counts[part], objects[part], matches.photo, curves)
        total[classes == 0] = np.nan
        means: NDArray[np.float64] = total / np.maximum(classes, 1)[:, None]
        return means


def _class_ap(
    photo_counts: NDArray[np.int64],
    objects: NDArray[np.int64],
    photo: NDArray[np.int64],
    curves: Sequence[_ThresholdCurve],
) -> NDArray[np.float64]:
    """`[S, T]` AP of one class; 0 in samples without an object of it."""
    weights = photo_counts[:, photo]
    ranks = np.cumsum(weights, axis=1)
    at_thresholds = [curve.average_precision(weights, ranks, np.maximum(objects, 1)) for curve in curves]
    return np.where(objects[:, None] > 0, np.stack(at_thresholds, axis=1), 0.0)


@dataclass(frozen=True)
class ResampledMetrics:
    """The headline metrics of one set of detections, for any weights of the photos.

    Attributes:
        kinds: a resampler for each of `mask`, `box`, `boundary` that can be evaluated.
        report: AP of each photo by the report's protocol, if there are masks.
        photos: number of photos.
        with_ap75: whether `of` also gives AP at IoU .75.
    """

    kinds: Mapping[str, Resampler]
    report: PerImageAP | None
    photos: int
    with_ap75: bool = False

    def of(self, photo_counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """`mask_AP`, `mask_AP50`, the same for the other kinds, and `report_mAP`, each `[S]`.

        NaN in samples in which no photo has an object.

        Args:
            photo_counts: `[S, P]` int, how often each photo counts in each sample.
        """
        values: dict[str, NDArray[np.float64]] = {}
        for kind, resampler in self.kinds.items():
            at_thresholds = resampler.average_precision(photo_counts)
            values |= {f"{kind}_AP": at_thresholds.mean(axis=1), f"{kind}_AP50": at_thresholds[:, 0]}
            if self.with_ap75:
                values[f"{kind}_AP75"] = at_thresholds[:, 5]
        if self.report is not None:
            values["report_mAP"] = self.report.means(photo_counts)
        return values


def draws(photos: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yields `resamples` bootstrap samples, several at a time: how often each photo is drawn, `[S, P]` int.

    A seed always gives the same.
    """
    generator = np.random.default_rng(seed)
    for first in range(0, resamples if photos else 0, _SAMPLES_AT_ONCE):
        samples = range(first, min(first + _SAMPLES_AT_ONCE, resamples))
        yield np.stack([np.bincount(generator.integers(0, photos, photos), minlength=photos) for _ in samples])


def intervals(
    metrics: ResampledMetrics, *, resamples: int = 500, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """The interval of each metric of `ResampledMetrics.of`; a metric without a value in every sample is left out."""
    parts = [metrics.of(counts) for counts in draws(metrics.photos, resamples, seed)]
    found = {
        name: percentile_interval(np.concatenate([part[name] for part in parts]), level, seed)
        for name in (parts[0] if parts else ())
    }
    return {name: interval for name, interval in found.items() if interval is not None}


def percentile_interval(values: Sequence[float] | NDArray[np.float64], level: float, seed: int) -> Interval | None:
    """The middle `level` of the values without NaN; None if all are NaN."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if len(known) == 0:
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, len(values), seed)
