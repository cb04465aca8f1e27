"""Reliability: whether detections with a score of 0.8 are right 8 times in 10.

A detection is right if it matches an object of its class at mask IoU .50, as for AP50: every object is matched once, by
the highest score. Detections on crowds do not count.
Source: Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015 (expected calibration
error); Guo et al., "On Calibration of Modern Neural Networks", ICML 2017 (reliability diagram).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clothseg.evaluation.matches import ClassMatches
from clothseg.evaluation.values import Reliability, ReliabilityBin

BINS = 10


@dataclass(frozen=True)
class Judged:
    """Detections that are known to be right or wrong.

    Attributes:
        scores: `[N]` float in 0..1.
        right: `[N]` bool.
        classes: `[N]` int, the key of each detection's class.
        photos: `[N]` int, the position of each detection's photo.
    """

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    classes: NDArray[np.int64]
    photos: NDArray[np.int64]

    @classmethod
    def of(cls, matches: Mapping[int, ClassMatches]) -> "Judged":
        """All detections of the classes, judged at IoU .50, without those on crowds."""
        counted = {key: ~found.ignored[0] for key, found in matches.items()}
        return cls(
            np.concatenate([np.zeros(0), *(found.scores[counted[key]] for key, found in matches.items())]),
            np.concatenate([np.zeros(0, np.bool_), *(m.hits[0][counted[key]] for key, m in matches.items())]),
            np.concatenate([np.full(int(kept.sum()), key) for key, kept in counted.items()] or [np.zeros(0)]).astype(
                np.int64
            ),
            np.concatenate([np.zeros(0, np.int64), *(found.photo[counted[key]] for key, found in matches.items())]),
        )

    def __len__(self) -> int:
        return len(self.scores)


def reliability(scores: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> Reliability | None:
    """The expected calibration error and the diagram: detections in bins of equal width by their score.

    The error is the mean over detections of the distance between the mean score of a bin and its share of right
    detections.

    Args:
        scores: `[N]` float.
        right: `[N]` bool.
        bins: number of bins. A score on an edge is in the upper bin.

    Returns:
        None without detections, or if a score is not in 0..1: such scores are no probabilities.
    """
    if not len(scores) or not ((scores >= 0) & (scores <= 1)).all():
        return None
    places = np.minimum((np.asarray(scores) * bins).astype(np.int64), bins - 1)
    counts = np.bincount(places, minlength=bins)
    score_sums, right_sums = (np.bincount(places, values, minlength=bins) for values in (scores, right))
    error = float(np.abs(score_sums - right_sums).sum() / len(scores))
    diagram = tuple(
        ReliabilityBin(int(count), float(total / count), float(hits / count)) if count else ReliabilityBin(0, 0.0, 0.0)
        for count, total, hits in zip(counts, score_sums, right_sums, strict=True)
    )
    brier = float(np.mean((np.asarray(scores) - right) ** 2))
    return Reliability(error, brier, diagram)


def photo_folds(photos: int, folds: int, seed: int = 0) -> NDArray[np.int64]:
    """`[P]` int, the fold 0..folds-1 of each photo, drawn so that their sizes differ by at most one."""
    return np.random.default_rng(seed).permutation(np.arange(photos) % folds)


def expected_errors(judged: Judged, scores: NDArray[np.float64], names: Mapping[int, str]) -> dict[str, float]:
    """The expected calibration error of `scores` by class name, for classes with detections."""
    found = {name: reliability(scores[own], judged.right[own]) for name, own in _by_class(judged, names)}
    return {name: one.expected_error for name, one in found.items() if one is not None}


def _by_class(judged: Judged, names: Mapping[int, str]) -> Sequence[tuple[str, NDArray[np.bool_]]]:
    return [(name, judged.classes == key) for key, name in names.items()]
