"""Says in two sentences which side to take for what, as far as the intervals allow it."""

from collections.abc import Sequence
from dataclasses import dataclass

from clothseg.evaluation.comparison.semantic import METRIC
from clothseg.evaluation.comparison.values import SeveralComparison
from clothseg.evaluation.tables import decimals, points
from clothseg.evaluation.values import Difference, Interval

_LARGE = 0.10
"""A difference that another training seed hardly explains."""
_SEEDS = 3
"""Runs of each side from which on the intervals know the seeds."""


@dataclass(frozen=True)
class Ranking:
    """One metric of all sides.

    Attributes:
        best: the side with the highest value.
        tied: sides that cannot be distinguished from it.
        worse: sides that are worse, the best of them first, with the difference to `best`.
    """

    best: str
    tied: tuple[str, ...]
    worse: tuple[tuple[str, Difference], ...]


def ranking(found: SeveralComparison, metric: str) -> Ranking | None:
    """Which sides are the best by a metric, and which are worse; None if a side has no value."""
    values = {side.title: side.overall.get(metric) for side in found.sides}
    known = {title: value for title, value in values.items() if value is not None}
    if len(known) < len(values):
        return None
    order = sorted(known, key=lambda title: -known[title])
    best, tied, worse = order[0], [], []
    for other in order[1:]:
        difference = lead(found, best, other, metric)
        if difference is not None and difference.interval.low > 0:
            worse.append((other, difference))
        else:
            tied.append(other)
    return Ranking(best, tuple(tied), tuple(worse))


def lead(found: SeveralComparison, best: str, other: str, metric: str) -> Difference | None:
    """How much `best` is above `other`, whichever of them is the first of the pair."""
    for pair in found.pairs:
        difference = pair.differences.get(metric)
        if difference is None:
            continue
        if (pair.b, pair.a) == (best, other):
            return difference
        if (pair.a, pair.b) == (best, other):
            turned = difference.interval
            return Difference(
                difference.b,
                difference.a,
                Interval(-turned.high, -turned.low, turned.level, turned.resamples, turned.seed),
            )
    return None


def verdict(found: SeveralComparison) -> tuple[str, ...]:
    """Two sentences: on finding objects, and on label maps and speed."""
    has_masks = all(side.overall.get("mask_AP") is not None for side in found.sides)
    metric, name = ("mask_AP", "mask AP") if has_masks else ("box_AP", "box AP")
    first = f"To find each object{' and its mask' if has_masks else ''}, {_choice(found, metric, name)}."
    others = []
    if ranking(found, METRIC) is not None:
        others.append(f"for a map of the classes, {_choice(found, METRIC, 'mIoU')}")
    if text := _speed(found):
        others.append(text)
    if not others:
        return (first,)
    second = "; ".join(others)
    return first, f"{second[0].upper()}{second[1:]}."


def _photos(found: SeveralComparison) -> str:
    return "this photo" if found.photos == 1 else f"these {found.photos} photos"


def _choice(found: SeveralComparison, metric: str, name: str) -> str:
    ranked = ranking(found, metric)
    if ranked is None:
        return "the sides have no metric in common"
    if not ranked.worse:
        return f"{_photos(found)} cannot tell which is better ({name})"
    if ranked.tied:
        worse = _listed([title for title, _ in ranked.worse])
        return (
            f"{_photos(found)} cannot tell whether {_listed([ranked.best, *ranked.tied], 'or')} is better, "
            f"but {ranked.best} is better than {worse} ({name})"
        )
    second, difference = ranked.worse[0]
    digits = decimals(difference.interval)
    low, high = points(difference.interval.low, digits), points(difference.interval.high, digits)
    size = f"{points(difference.change):.1f} [{low:.{digits}f}, {high:.{digits}f}] points"
    runs = min(len(side.sources) for side in found.sides if side.title in (ranked.best, second))
    text = f"take {ranked.best}: its {name} is {size} above {second}"
    if difference.change < _LARGE and runs < _SEEDS:
        text += f" (with fewer than {_SEEDS} runs of each, so little can also come from the training seed)"
    return text


def _speed(found: SeveralComparison) -> str:
    """The fastest side, if the measurements agree on it; empty if fewer than two were measured."""
    timed = {side.title: side.speed.seconds for side in found.sides if side.speed is not None}
    if len(timed) < 2:
        return ""
    order = sorted(timed, key=lambda title: timed[title])
    fastest, ratios = order[0], []
    for pair in found.pairs:
        if pair.time_ratio is None or fastest not in (pair.a, pair.b):
            continue
        ratio, interval = pair.time_ratio
        slower = ratio if pair.a == fastest else 1 / ratio
        low = interval.low if pair.a == fastest else 1 / interval.high
        if low <= 1:
            other = pair.b if pair.a == fastest else pair.a
            return f"{fastest} and {other} are about equally fast here"
        ratios.append(slower)
    times = " to ".join(dict.fromkeys(f"{ratio:.1f}" for ratio in (min(ratios), max(ratios))))
    others = "the other takes" if len(ratios) == 1 else "the others take"
    return f"{fastest} is the fastest here ({1000 * timed[fastest]:.0f} ms a photo; {others} {times} times as long)"


def _listed(words: Sequence[str], last: str = "and") -> str:
    return f" {last} ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
