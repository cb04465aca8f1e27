"""Compares networks on the same photos, measures their speed, and writes the page."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from clothseg.counting import spread
from clothseg.devices import AUTO
from clothseg.evaluation import SCORE_THRESHOLD
from clothseg.evaluation.comparison.several import EvaluatedSource, compare_evaluated, evaluate_sources
from clothseg.evaluation.comparison.values import SeveralComparison
from clothseg.evaluation.comparison.verdicts import verdict
from clothseg.evaluation.stored import shared_data
from clothseg.evaluation.truth import GroundTruth
from clothseg.files import atomic_write
from clothseg.progress import ProgressBar, no_progress
from clothseg.report.comparison.page import page_text
from clothseg.report.comparison.speed import PHOTOS, measure, with_speed
from clothseg.runs import RunFolder


def compare_networks(
    sources: Sequence[Path | str],
    page: Path | str | None = None,
    data: Path | str | None = None,
    *,
    split: str | None = None,
    score_threshold: float = SCORE_THRESHOLD,
    resamples: int = 1000,
    seed: int = 0,
    group: bool | None = None,
    speed: bool = True,
    device: str | torch.device = AUTO,
    progress: ProgressBar = no_progress,
) -> SeveralComparison:
    """Compares evaluated runs and results files on the same photos; see `evaluation.compare_several`.

    Args:
        sources: folders of evaluated runs, and COCO results files; at least two.
        page: an HTML file to write: one self-contained page. None writes nothing.
        data: a dataset's folder (its validation photos), or a COCO ground truth file; by default the runs' dataset.
        split: another split of it than `val`.
        score_threshold: of `report_mAP`.
        resamples: number of bootstrap samples of the photos, the same for all.
        seed: of these samples.
        group: whether runs that differ only in the seed become one side; by default if at least two sides remain.
        speed: whether to measure on this machine how long each network takes for a photo.
        device: that the networks run on; see `devices.resolve_device`.
        progress: wraps what takes long, for a progress bar.

    Returns:
        Metrics with intervals of each side, differences of every pair, the speed, and the verdict.

    Raises:
        RunError, ConfigError, DataError: see `evaluation.compare_several`; or weights of a run cannot be read.
        PhotoError: the speed cannot be measured, because no photo can be read.
    """
    paths = [Path(source) for source in sources]
    place = Path(data) if data is not None else shared_data(paths)
    truth, sides = evaluate_sources(
        paths, place, split=split, score_threshold=score_threshold, group=group, progress=progress
    )
    found = compare_evaluated(truth, sides, resamples=resamples, seed=seed, progress=progress)
    images = place / "images" if (place / "images").is_dir() else place
    if speed:
        found = _timed(found, truth, sides, images, device, progress)
    if page is not None:
        atomic_write(Path(page), page_text(found, truth, sides, place, images))
    return found


def _timed(
    found: SeveralComparison,
    truth: GroundTruth,
    sides: Sequence[Sequence[EvaluatedSource]],
    images: Path,
    device: str | torch.device,
    progress: ProgressBar,
) -> SeveralComparison:
    """The comparison with the speed of the sides that have weights, and a verdict that knows it."""
    first = {side.title: of[0].source.path for side, of in zip(found.sides, sides, strict=True)}
    runs = {title: path for title, path in first.items() if path.is_dir() and RunFolder(path).weights.is_file()}
    if not runs or not truth.images:
        return found
    photos = [truth.photo_path(truth.images[place], images) for place in spread(len(truth.images), PHOTOS)]
    timings = measure(list(runs.values()), photos, device=device, progress=progress)
    timed = with_speed(found, timings, list(runs))
    return replace(timed, verdict=verdict(timed))
