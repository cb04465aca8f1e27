"""How far a figure would move with other photos: bootstrap intervals over the photos of the truth.

A resample draws as many photos as there are, with replacement; a photo drawn twice counts twice, with its objects and
its detections. Matching looks at one photo at a time, so it is done once; each resample only ranks and counts again,
which gives exactly the AP of that collection of photos. Source: Efron and Tibshirani, "An Introduction to the
Bootstrap", chapter 13 (percentile interval).

Equal scores are ranked in the order of the photos, as COCO's evaluator does; copies of one detection stand together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RECALLS = np.linspace(0.0, 1.0, 101)
_EPSILON = np.spacing(1)


@dataclass(frozen=True)
class Interval:
    """The middle `level` of a figure over `resamples` of the photos, in the figure's own unit (0..1)."""

    low: float
    high: float
    level: float = 0.95
    resamples: int = 500
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.level:.0%} interval {100 * self.low:.1f} to {100 * self.high:.1f} over photos"


@dataclass(frozen=True)
class ClassMatches:
    """How the detections of one class met the truth, over all photos.

    Attributes:
        photo: `[D]` int, position of each detection's photo.
        scores: `[D]` float. Detections of a photo stand together, highest score first, photos in order.
        hits: `[T, D]` bool, matched to an object, for each IoU threshold.
        ignored: `[T, D]` bool, neither right nor wrong (on a crowd).
        objects: `[P]` int, objects of the class on each photo, crowds not counted.
    """

    photo: NDArray[np.int64]
    scores: NDArray[np.float64]
    hits: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    objects: NDArray[np.int64]

    def ranked(self) -> "ClassMatches":
        """The same with the detections of all photos by falling score."""
        order = np.argsort(-self.scores, kind="stable")
        return ClassMatches(
            self.photo[order], self.scores[order], self.hits[:, order], self.ignored[:, order], self.objects
        )


class _ThresholdCurve:
    """Average precision at one IoU threshold of ranked detections, for any weights of the photos.

    Precision and recall matter only where a hit stands: the best precision from there on is interpolated, and between
    hits it only falls. So the few hits are kept, and the rest is counted.
    """

    def __init__(self, hits: NDArray[np.bool_], ignored: NDArray[np.bool_]) -> None:
        self.hits = np.flatnonzero(hits & ~ignored)
        self.ignored = np.flatnonzero(ignored)
        self.ignored_before = np.searchsorted(self.ignored, self.hits)

    def average_precision(self, weights: NDArray[np.int64], ranks: NDArray[np.int64], objects: int) -> float:
        """`weights` `[D]` counts each detection, `ranks` `[D]` is their running sum, `objects` the objects to find."""
        hits = np.cumsum(weights[self.hits])
        skipped = np.concatenate([[0], np.cumsum(weights[self.ignored])])[self.ignored_before]
        judged = ranks[self.hits] - skipped
        drawn = hits > 0
        hits, judged = hits[drawn], judged[drawn]
        if len(hits) == 0:
            return 0.0
        precision = np.maximum.accumulate((hits / (judged + _EPSILON))[::-1])[::-1]
        first = np.searchsorted(hits / objects, RECALLS, side="left")
        return float(np.append(precision, 0.0)[first].mean())


class Resampler:
    """AP of any weighted collection of the photos, from the matches of every class."""

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
            return np.full(len(self.curves[0]) if self.curves else 1, np.nan)
        means: NDArray[np.float64] = np.asarray(rows).mean(axis=0)
        return means


def bootstrap(
    classes: Sequence[ClassMatches], photos: int, *, resamples: int = 500, seed: int = 0, level: float = 0.95
) -> tuple[Interval | None, Interval | None]:
    """Intervals of AP (mean over the IoU thresholds) and of AP at the first threshold.

    Args:
        classes: the matches of every class on the same `photos` photos.
        photos: how many photos there are.
        resamples: how often photos are drawn.
        seed: of the draw; one seed draws the same photos for masks and boxes.
        level: share of the resamples that lies inside.

    Returns:
        The two intervals; None where no resample has an object.
    """
    resampler = Resampler(classes)
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(resamples if photos else 0):
        counts = np.bincount(generator.integers(0, photos, size=photos), minlength=photos)
        at_thresholds = resampler.average_precision(counts)
        rows.append((at_thresholds.mean(), at_thresholds[0]))
    values = np.asarray(rows).reshape(-1, 2)
    values = values[~np.isnan(values[:, 0])]
    if len(values) == 0:
        return None, None
    lows, highs = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    first, second = (
        Interval(float(low), float(high), level, resamples, seed) for low, high in zip(lows, highs, strict=True)
    )
    return first, second
