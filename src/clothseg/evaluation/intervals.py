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


class _ThresholdCurve:
    """Average precision of ranked detections at one IoU threshold, for any weights of the photos.

    COCO interpolates with the best precision from a recall on, and between hits precision only falls. So precision and
    recall are needed only at the hits; other detections are only counted.
    """

    def __init__(self, hits: NDArray[np.bool_], ignored: NDArray[np.bool_]) -> None:
        self.hits = np.flatnonzero(hits & ~ignored)
        self.ignored = np.flatnonzero(ignored)
        self.ignored_before = np.searchsorted(self.ignored, self.hits)

    def average_precision(self, weights: NDArray[np.int64], ranks: NDArray[np.int64], objects: int) -> float:
        """The area under the precision-recall curve.

        Args:
            weights: `[D]` int, how often each detection counts.
            ranks: `[D]` int, the running sum of `weights`.
            objects: number of objects, at least 1.
        """
        hits = np.cumsum(weights[self.hits])
        skipped = np.concatenate([[0], np.cumsum(weights[self.ignored])])[self.ignored_before]
        counted = ranks[self.hits] - skipped
        drawn = hits > 0
        hits, counted = hits[drawn], counted[drawn]
        if len(hits) == 0:
            return 0.0
        precision = np.maximum.accumulate((hits / (counted + _EPSILON))[::-1])[::-1]
        first = np.searchsorted(hits / objects, RECALLS, side="left")
        return float(np.append(precision, 0.0)[first].mean())


class Resampler:
    """Computes AP for any weights of the photos, from the matches of every class."""

    def __init__(self, classes: Sequence[ClassMatches]) -> None:
        self.classes = [matches.ranked() for matches in classes]
        self.curves = [
            [_ThresholdCurve(hits, ignored) for hits, ignored in zip(c.hits, c.ignored, strict=True)]
            for c in self.classes
        ]

    def average_precision(self, photo_counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """`[T]` AP at each IoU threshold, the mean over classes with objects; NaN where no class has any.

        Args:
            photo_counts: `[P]` int, how often each photo counts.
        """
        rows = []
        for matches, curves in zip(self.classes, self.curves, strict=True):
            objects = int(matches.objects @ photo_counts)
            if objects == 0:
                continue
            weights = photo_counts[matches.photo]
            ranks = np.cumsum(weights)
            rows.append([curve.average_precision(weights, ranks, objects) for curve in curves])
        if not rows:
            return np.full(THRESHOLDS, np.nan)
        means: NDArray[np.float64] = np.asarray(rows).mean(axis=0)
        return means


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

    def of(self, photo_counts: NDArray[np.int64]) -> dict[str, float]:
        """`mask_AP`, `mask_AP50`, the same for the other kinds, and `report_mAP`; NaN if no drawn photo has an object.

        Args:
            photo_counts: `[P]` int, how often each photo counts.
        """
        values: dict[str, float] = {}
        for kind, resampler in self.kinds.items():
            at_thresholds = resampler.average_precision(photo_counts)
            values |= {f"{kind}_AP": float(at_thresholds.mean()), f"{kind}_AP50": float(at_thresholds[0])}
            if self.with_ap75:
                values[f"{kind}_AP75"] = float(at_thresholds[5])
        if self.report is not None:
            mean = self.report.mean(photo_counts)
            values["report_mAP"] = float("nan") if mean is None else mean
        return values


def draws(photos: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yields `resamples` bootstrap samples: how often each photo is drawn, `[P]` int. A seed always gives the same."""
    generator = np.random.default_rng(seed)
    for _ in range(resamples if photos else 0):
        yield np.bincount(generator.integers(0, photos, size=photos), minlength=photos)


def intervals(
    metrics: ResampledMetrics, *, resamples: int = 500, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """The interval of each metric of `ResampledMetrics.of`; a metric without a value in every sample is left out."""
    rows = [metrics.of(counts) for counts in draws(metrics.photos, resamples, seed)]
    found = {name: percentile_interval([row[name] for row in rows], level, seed) for name in (rows[0] if rows else ())}
    return {name: interval for name, interval in found.items() if interval is not None}


def percentile_interval(values: Sequence[float], level: float, seed: int) -> Interval | None:
    """The middle `level` of the values without NaN; None if all are NaN."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if len(known) == 0:
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, len(values), seed)
