"""Compares any number of runs and results files: metrics with intervals, and the differences of every pair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clothseg.errors import ClothsegError, DataError, RunError
from clothseg.evaluation.comparison.resampling import SampledSide, differences, sample_sides
from clothseg.evaluation.comparison.semantic import METRIC, SemanticCounts, semantic_counts
from clothseg.evaluation.comparison.sources import Source, group_by_seed, read_source, titles_of
from clothseg.evaluation.comparison.values import PairDifferences, SeveralComparison, SideMetrics
from clothseg.evaluation.comparison.verdicts import verdict
from clothseg.evaluation.evaluate import SCORE_THRESHOLD, evaluate_for_resampling, missing_note
from clothseg.evaluation.intervals import ResampledMetrics
from clothseg.evaluation.metrics import Metrics
from clothseg.evaluation.predicted_files import StoredResults
from clothseg.evaluation.stored import shared_data, stored_results, truth_for
from clothseg.evaluation.truth import GroundTruth
from clothseg.evaluation.validate_results import validate_results
from clothseg.evaluation.values import ClassMetrics
from clothseg.instances import CocoResult
from clothseg.progress import ProgressBar, no_progress

_LEVEL = 0.95
_NO_SCORE = 0.5  # the score threshold if no detection is correct


@dataclass(frozen=True)
class EvaluatedSource:
    """The metrics of one run or results file.

    Attributes:
        source: the run or file; its score threshold is the best one.
        rows: the checked results.
        metrics: all metrics, without intervals.
        resampled: the headline metrics for any weights of the photos.
        semantic: the agreement as label maps, if there are masks.
    """

    source: Source
    rows: Sequence[CocoResult]
    metrics: Metrics
    resampled: ResampledMetrics
    semantic: SemanticCounts | None

    def of(self, photo_counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """The headline metrics by name, `[S]`, if photo p counts `photo_counts[s, p]` times."""
        values = self.resampled.of(photo_counts)
        return values if self.semantic is None else values | self.semantic.of(photo_counts)


def compare_several(
    sources: Sequence[Path | str],
    data: Path | str | None = None,
    *,
    split: str | None = None,
    score_threshold: float = SCORE_THRESHOLD,
    resamples: int = 1000,
    seed: int = 0,
    group: bool | None = None,
    progress: ProgressBar = no_progress,
) -> SeveralComparison:
    """Compares evaluated runs and COCO results files on the same photos.

    Runs whose configurations differ only in the seed become one side: its metrics are the mean over the runs, and its
    intervals are over photos and seeds.

    Args:
        sources: folders of evaluated runs, and results files; at least two.
        data: a dataset's folder (its validation photos), or a COCO ground truth file; by default the runs' dataset.
        split: another split of it than `val`.
        score_threshold: of `report_mAP`.
        resamples: number of bootstrap samples of the photos, the same for all.
        seed: of these samples.
        group: whether runs that differ only in the seed become one side; by default if at least two sides remain.
        progress: wraps the runs and the samples, for a progress bar.

    Raises:
        RunError: fewer than two sources, one of several is named twice, a folder is not an evaluated run or was
            evaluated on other photos, or the dataset is not found.
        ConfigError: the configuration of a run cannot be read.
        DataError: a file cannot be read or does not fit the ground truth, or there is no metric that all have.
    """
    paths, place = [Path(source) for source in sources], None if data is None else Path(data)
    truth, evaluated = evaluate_sources(
        paths, place, split=split, score_threshold=score_threshold, group=group, progress=progress
    )
    return compare_evaluated(truth, evaluated, resamples=resamples, seed=seed, progress=progress)


def evaluate_sources(
    sources: Sequence[Path],
    data: Path | None = None,
    *,
    split: str | None = None,
    score_threshold: float = SCORE_THRESHOLD,
    group: bool | None = None,
    progress: ProgressBar = no_progress,
) -> tuple[GroundTruth, list[tuple[EvaluatedSource, ...]]]:
    """The ground truth, and the evaluated sources of each side; arguments and errors as for `compare_several`."""
    truth, results = _truth_and_results(sources, data, split)
    groups = group_by_seed([read_source(path) for path in sources], group=group)
    if len(groups) < 2:
        raise RunError("all runs differ only in their seed, so they are one side; --no-group compares them one by one")
    rows_of = dict(zip(map(str, sources), results, strict=True))
    flat = [source for of in groups for source in of]
    done = [
        _evaluate(truth, source, rows_of[source.facts.path], score_threshold)
        for source in progress(flat, len(flat), "evaluating")
    ]
    iterator = iter(done)
    return truth, [tuple(next(iterator) for _ in of) for of in groups]


def compare_evaluated(
    truth: GroundTruth,
    sides: Sequence[Sequence[EvaluatedSource]],
    *,
    resamples: int = 1000,
    seed: int = 0,
    progress: ProgressBar = no_progress,
) -> SeveralComparison:
    """Compares sides that were evaluated by `evaluate_sources`; arguments and errors as for `compare_several`."""
    seeds = [tuple(one.source.facts.seed for one in of) if len(of) > 1 else number for number, of in enumerate(sides)]
    sampled = sample_sides(sides, len(truth.photos), seeds=seeds, resamples=resamples, seed=seed, progress=progress)
    titles = titles_of([[one.source for one in of] for of in sides])
    pairs = [
        PairDifferences(titles[i], titles[j], differences(sampled[i], sampled[j], level=_LEVEL, seed=seed))
        for i, j in combinations(range(len(sides)), 2)
    ]
    if not all(pair.differences for pair in pairs):
        raise DataError(
            "the sides have no metric in common: the ground truth has no object, or one side has no masks and another "
            "no boxes"
        )
    metrics = [
        _side_metrics(title, of, side, truth, seed) for title, of, side in zip(titles, sides, sampled, strict=True)
    ]
    shared = [note for note in metrics[0].notes if all(note in side.notes for side in metrics)]
    metrics = [replace(side, notes=tuple(note for note in side.notes if note not in shared)) for side in metrics]
    notes = (*_notes(truth, sides, pairs), *shared)
    found = SeveralComparison(tuple(metrics), tuple(pairs), len(truth.photos), notes)
    return replace(found, verdict=verdict(found))


def require_comparable(sources: Sequence[Path], data: Path | None = None, split: str | None = None) -> None:
    """Checks sources as `compare_several` does, without evaluating them; raises its errors."""
    _truth_and_results(sources, data, split)


def _truth_and_results(
    sources: Sequence[Path], data: Path | None, split: str | None
) -> tuple[GroundTruth, list[StoredResults]]:
    _require_different(sources)
    data = data if data is not None else shared_data(sources)
    truth = truth_for(data, split, sources)
    return truth, _all_results(sources, truth, data)


def _require_different(sources: Sequence[Path]) -> None:
    if len(sources) < 2:
        raise RunError("a comparison needs at least two runs or results files")
    seen: dict[Path, Path] = {}
    for source in sources:
        place = source.resolve()
        if place in seen:
            raise RunError(f"{source} is named twice; name each run or results file once")
        seen[place] = source


def _all_results(sources: Sequence[Path], truth: GroundTruth, data: Path) -> list[StoredResults]:
    """The results of each source, or one error that lists what is wrong with any of them."""
    results, problems = [], []
    for source in sources:
        try:
            results.append(stored_results(source, truth))
        except ClothsegError as error:
            problems.append(error)
    if problems:
        text = "\n".join(str(error).replace(" DATA`", f" {data}`") for error in problems)
        raise type(problems[0])(text)
    return results


def _evaluate(truth: GroundTruth, source: Source, results: StoredResults, score_threshold: float) -> EvaluatedSource:
    try:
        rows, remarks = validate_results(results.rows, truth)
    except DataError as error:
        raise DataError(f"{source.path}: {error}") from error
    metrics, resampled = evaluate_for_resampling(truth, rows, score_threshold)
    metrics = replace(metrics, notes=(*results.notes, *remarks, *metrics.notes))
    best = metrics.threshold.score if metrics.threshold is not None else _NO_SCORE
    semantic = None if missing_note("mask", truth, rows) else semantic_counts(truth, rows, best)
    source = replace(source, facts=replace(source.facts, score_threshold=best))
    return EvaluatedSource(source, rows, metrics, replace(resampled, with_ap75=True), semantic)


def _side_metrics(
    title: str, runs: Sequence[EvaluatedSource], sampled: SampledSide, truth: GroundTruth, seed: int
) -> SideMetrics:
    """The metrics of one side, the mean over its runs."""
    overall = _mean([one.metrics.overall for one in runs])
    ious = [one.semantic.iou() for one in runs if one.semantic is not None]
    iou = [None if np.isnan(value) else float(value) for value in np.mean(ious, axis=0)] if ious else []
    classes = {
        name: ClassMetrics(
            truth.objects[class_id],
            dict(_mean([one.metrics.classes[name].values for one in runs]))
            | ({"semantic_IoU": iou[number]} if iou else {}),
        )
        for number, (class_id, name) in enumerate(truth.names.items(), start=1)
    }
    value = sampled.values.get(METRIC, float("nan"))
    intervals = {
        name: interval for name in sampled.values if (interval := sampled.interval(name, _LEVEL, seed)) is not None
    }
    return SideMetrics(
        title,
        tuple(one.source.facts for one in runs),
        {**overall, METRIC: None if np.isnan(value) else value},
        intervals,
        classes,
        iou[0] if iou else None,
        notes=tuple(dict.fromkeys(note for one in runs for note in one.metrics.notes)),
    )


def _mean(values: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """The mean by name; None where one has no value."""
    means: dict[str, float | None] = {}
    for name in values[0]:
        known = [value for of in values if (value := of.get(name)) is not None]
        means[name] = sum(known) / len(known) if len(known) == len(values) else None
    return means


def _notes(
    truth: GroundTruth, sides: Sequence[Sequence[EvaluatedSource]], pairs: Sequence[PairDifferences]
) -> tuple[str, ...]:
    notes = list(truth.notes)
    seeds = [len(of) for of in sides]
    if max(seeds) > 1:
        notes.append(
            f"A side of several runs ({', '.join(map(str, seeds))}) shows their mean; its intervals are over photos "
            "and seeds. From few seeds, the part of the seeds is estimated roughly, and rather too small."
        )
    if min(seeds) == 1:
        notes.append("The intervals of a single run are over photos; another training seed can give other values.")
    if len(pairs) > 1:
        notes.append(
            f"Each interval holds for its own pair. Among {len(pairs)} pairs, one excludes 0 by chance more often than "
            "a single one does."
        )
    return tuple(notes)
