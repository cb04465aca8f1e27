"""Two sets of detections on the same photos: which is better, and whether that could be the chance of the photos.

Both are judged on the same redraws of the photos, so what makes photos easy or hard for both cancels out: the interval
of the difference is narrower than those of the two figures suggest. Source: Efron and Tibshirani, "An Introduction to
the Bootstrap", chapter 8 (paired data).

The evaluator's library has a paired bootstrap too, but counts a photo that was drawn twice once, which makes its
intervals too narrow, and it knows neither contours nor the report's protocol.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clothseg.errors import DataError
from clothseg.evaluation.evaluate import SCORE_THRESHOLD, metrics_for_resampling
from clothseg.evaluation.intervals import ResampledMetrics, draws, middle
from clothseg.evaluation.truth import read_truth
from clothseg.evaluation.validate_results import validate_results
from clothseg.evaluation.values import Comparison, Difference


def compare_results(
    truth: Path | Mapping[str, Any],
    a: Sequence[Any],
    b: Sequence[Any],
    *,
    score_threshold: float = SCORE_THRESHOLD,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Comparison:
    """Compare two lists of COCO results on one truth by a paired bootstrap over its photos.

    Args:
        truth: COCO instances, as a file or as read from one.
        a: results of the first.
        b: results of the second.
        score_threshold: of `report_mAP`.
        resamples: draws of photos, the same for both.
        seed: of these draws.
        level: share of the differences that lies inside the interval.

    Raises:
        DataError: the truth is not COCO instances, a result is not for it, or there is nothing to judge both by.
    """
    known = read_truth(truth)
    notes: list[str] = []
    sides: list[ResampledMetrics] = []
    for name, results in (("A", a), ("B", b)):
        try:
            rows, odd = validate_results(results, known)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        notes += [f"{name}: {sentence}" for sentence in odd]
        sides.append(metrics_for_resampling(known, rows, score_threshold))
    once = [side.of(np.ones(len(known.photos), dtype=np.int64)) for side in sides]
    shared = [name for name in once[0] if name in once[1] and not np.isnan(once[0][name])]
    if not shared:
        raise DataError("the two have no figure in common: the truth has no object, or they lack masks or boxes")
    changes: dict[str, list[float]] = {name: [] for name in shared}
    for counts in draws(len(known.photos), resamples, seed):
        first, second = (side.of(counts) for side in sides)
        for name in shared:
            changes[name].append(second[name] - first[name])
    figures = {}
    for name in shared:
        interval = middle(changes[name], level, seed)
        if interval is not None:
            figures[name] = Difference(once[0][name], once[1][name], interval)
    return Comparison(figures, len(known.photos), tuple(notes))
