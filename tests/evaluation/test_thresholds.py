"""The best threshold, compared with trying all of them."""

import numpy as np
import pytest

from clothseg.evaluation.matches import THRESHOLDS, ClassMatches
from clothseg.evaluation.thresholds import best_threshold


def generated(rng: np.random.Generator) -> ClassMatches:
    count = int(rng.integers(1, 40))
    hits = np.zeros((THRESHOLDS, count), dtype=bool)
    ignored = hits.copy()
    hits[0] = rng.random(count) < 0.5
    ignored[0] = ~hits[0] & (rng.random(count) < 0.2)
    scores = np.round(rng.random(count), 1)
    objects = np.zeros(count, dtype=np.int64)
    objects[: int(hits[0].sum()) + int(rng.integers(0, 5))] = 1
    return ClassMatches(np.arange(count), scores, hits, ignored, objects)


def f1(classes: list[ClassMatches], threshold: float) -> float:
    right = sum(int((c.hits[0] & (c.scores >= threshold)).sum()) for c in classes)
    found = sum(int(((c.scores >= threshold) & ~c.ignored[0]).sum()) for c in classes)
    objects = sum(int(c.objects.sum()) for c in classes)
    if not right:
        return 0.0
    precision, recall = right / found, right / objects
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("seed", range(30))
def test_no_other_threshold_is_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = [generated(rng) for _ in range(1 + seed % 3)]
    best = best_threshold(classes)
    tried = {score: f1(classes, score) for score in np.unique(np.concatenate([c.scores for c in classes]))}
    if max(tried.values()) == 0:
        assert best is None
        return
    assert best is not None
    assert best.f1 == pytest.approx(max(tried.values()))
    assert best.f1 == pytest.approx(f1(classes, best.score))
    assert best.f1 == pytest.approx(2 * best.precision * best.recall / (best.precision + best.recall))
    assert best.score == pytest.approx(max(s for s, value in tried.items() if value > best.f1 - 1e-12))


def test_without_a_correct_detection_there_is_no_threshold() -> None:
    nothing = np.zeros((THRESHOLDS, 1), dtype=bool)
    never = ClassMatches(np.zeros(1, np.int64), np.ones(1), nothing, nothing, np.ones(1, np.int64))
    assert best_threshold([]) is None
    assert best_threshold([never]) is None
