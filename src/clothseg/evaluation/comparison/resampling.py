"""Evaluates every side on the same bootstrap samples of the photos, and of the seeds where a side has several runs.

Photos that are easy or hard for all sides cancel out, so the interval of a difference is narrower than the intervals of
the two metrics suggest. If a side has several runs that differ only in their seed, each sample also draws as many of
its runs, with replacement, independently of the photos; sides with the same seeds draw the same seeds. Photos and seeds
are two crossed samples, so this is the pigeonhole bootstrap. From few seeds it estimates their part of the spread
roughly, and rather too small.
Sources: Efron and Tibshirani, "An Introduction to the Bootstrap", chapter 8 (paired data); Owen, "The pigeonhole
bootstrap", Annals of Applied Statistics 1 (2007).
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clothseg.evaluation.intervals import draws, percentile_interval
from clothseg.evaluation.values import Difference, Interval
from clothseg.progress import ProgressBar, no_progress


class Resamplable(Protocol):
    """Metrics of one run for any weights of the photos, such as `ResampledMetrics`."""

    def of(self, photo_counts: NDArray[np.int64], /) -> Mapping[str, NDArray[np.float64]]:
        """The metrics by name, `[S]`, if photo p counts `photo_counts[s, p]` times; NaN without a value."""
        ...


@dataclass(frozen=True)
class SampledSide:
    """The metrics of one side.

    Attributes:
        values: by metric, on all photos; the mean over the side's runs.
        samples: by metric, `[S]`, in each bootstrap sample; NaN without a value.
    """

    values: Mapping[str, float]
    samples: Mapping[str, NDArray[np.float64]]

    def interval(self, metric: str, level: float, seed: int) -> Interval | None:
        """The interval of a metric; None if it has no value in any sample."""
        return percentile_interval(self.samples[metric], level, seed)


def sample_sides(
    sides: Sequence[Sequence[Resamplable]],
    photos: int,
    *,
    seeds: Sequence[Hashable] | None = None,
    resamples: int,
    seed: int,
    progress: ProgressBar = no_progress,
) -> list[SampledSide]:
    """Evaluates all sides on the same samples.

    Args:
        sides: the runs of each side, at least one.
        photos: number of photos.
        seeds: of each side, a value that is equal for sides whose runs are paired by their seeds; by default none are.
        resamples: number of samples.
        seed: of the samples.
        progress: wraps the samples, for a progress bar.
    """
    keys = list(range(len(sides))) if seeds is None else list(seeds)
    everything = np.ones((1, photos), dtype=np.int64)
    once = [[run.of(everything) for run in runs] for runs in sides]
    names = [[name for name in runs[0] if all(name in run for run in runs)] for runs in once]
    samples = [
        {name: np.full((resamples, len(runs)), np.nan) for name in known}
        for known, runs in zip(names, once, strict=True)
    ]
    blocks, done = list(draws(photos, resamples, seed)), 0
    for counts in progress(blocks, len(blocks), "drawing photos"):
        rows = slice(done, done + len(counts))
        done = rows.stop
        for runs, found in zip(sides, samples, strict=True):
            for column, run in enumerate(runs):
                values = run.of(counts)
                for name, array in found.items():
                    array[rows, column] = values[name]
    weights = _seed_weights([len(runs) for runs in sides], keys, resamples, seed)
    return [
        SampledSide(
            {name: float(np.mean([run[name] for run in runs])) for name in known},
            {name: (array * weight).sum(axis=1) for name, array in found.items()},
        )
        for runs, known, found, weight in zip(once, names, samples, weights, strict=True)
    ]


def differences(a: SampledSide, b: SampledSide, *, level: float, seed: int) -> dict[str, Difference]:
    """The differences B minus A of the metrics that both sides have, with their intervals."""
    found = {}
    for name, value in a.values.items():
        if name not in b.values or np.isnan(value) or np.isnan(b.values[name]):
            continue
        interval = percentile_interval(b.samples[name] - a.samples[name], level, seed)
        if interval is not None:
            found[name] = Difference(value, b.values[name], interval)
    return found


def _seed_weights(
    runs: Sequence[int], keys: Sequence[Hashable], resamples: int, seed: int
) -> list[NDArray[np.float64]]:
    """For each side `[S, R]`, the weight of each of its runs in each sample; equal for sides with an equal key."""
    generator = np.random.default_rng([seed, 1])  # not the one that draws the photos
    known: dict[Hashable, NDArray[np.float64]] = {}
    for count, key in zip(runs, keys, strict=True):
        if key not in known:
            drawn = generator.multinomial(count, np.full(count, 1 / count), size=resamples)
            known[key] = drawn / count if count > 1 else np.ones((resamples, 1))
    return [known[key] for key in keys]
