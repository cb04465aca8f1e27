"""Detections and thresholds that are on disk already: those of an evaluated run, or of a results file."""

import os
from collections.abc import Sequence
from pathlib import Path

from clothseg.dataset.photo_split import PhotoSplit, read_photo_split
from clothseg.dataset.reading import SplitFiles, choose_split, find_layout
from clothseg.errors import DataError, RunError, shell_command
from clothseg.evaluation.metrics import Metrics
from clothseg.evaluation.predicted_files import StoredResults, read_results_for
from clothseg.evaluation.truth import GroundTruth, read_truth
from clothseg.evaluation.validate_results import read_results, validate_results
from clothseg.instances import CocoResult
from clothseg.paths import Wanted, explain_wrong_path
from clothseg.runs import RunFolder
from clothseg.suggestions import near_path


def validation_split(data: Path, split: str | None = None, runs: Sequence[Path] = ()) -> SplitFiles:
    """The COCO ground truth file: of the validation photos if `data` is a dataset's folder, otherwise `data`.

    Args:
        data: a dataset, an export of a labelling tool, or a COCO file.
        split: another split than `val`.
        runs: folders of runs. If there is no `val`, it is the file that one of them split, whatever its name.

    Raises:
        DataError: there is no such file or split.
        RunError: the split of a run cannot be read.
    """
    layout = find_layout(data)
    if not os.path.isdir(data) and not split:
        return layout.splits[0]
    try:
        return choose_split(layout, split or "val")
    except DataError:
        own = [] if split else [files for files in layout.splits if split_of_run(runs, files) is not None]
        if len(own) != 1:
            raise
        return own[0]


def truth_for(data: Path, split: str | None = None, runs: Sequence[Path] = ()) -> GroundTruth:
    """The ground truth of the validation photos; those of a run, if the run split the file itself.

    Args:
        data: a dataset, an export of a labelling tool, or a COCO file.
        split: another split than `val`.
        runs: folders of runs; others are ignored.

    Raises:
        DataError: there is no such file or split, or it cannot be used.
        RunError: the split of a run cannot be read.
    """
    files = validation_split(data, split, runs)
    truth = read_truth(files.annotations, files.photos)
    own = None if split else split_of_run(runs, files)
    return truth if own is None else truth.only(set(own.val))


def split_of_run(runs: Sequence[Path], files: SplitFiles) -> PhotoSplit | None:
    """The split of this file that one of the runs was trained with; None if there is none."""
    known = [split for run in runs if (split := read_photo_split(RunFolder(run).split)) is not None]
    return next((split for split in known if split.is_of(files.annotations)), None)


def stored_results(source: Path, truth: GroundTruth) -> StoredResults:
    """The COCO results of an evaluated run, or of a results file; see `read_results_for`.

    Args:
        source: the run's folder, or the file.
        truth: that the run must have been evaluated on.

    Raises:
        RunError: the folder is not an evaluated run, or the run was evaluated on another ground truth.
        DataError: a file cannot be read.
    """
    if not os.path.exists(source):
        raise RunError(f"{source}: no such run or results file{near_path(source)}")
    if not os.path.isdir(source):
        return read_results_for(source, truth)
    return StoredResults(read_results(require_evaluated_on(source, truth).predictions))


def require_evaluated_on(run: Path, truth: GroundTruth) -> RunFolder:
    """The folder of a run that was evaluated on this ground truth.

    Raises:
        RunError: the folder is not an evaluated run, or the run was evaluated on another ground truth.
        DataError: its metrics cannot be read.
    """
    folder = require_evaluated(run)
    evaluated_on = _read_metrics(folder.metrics).truth
    if evaluated_on and evaluated_on != truth.fingerprint:
        raise RunError(
            f"{run} was evaluated on other photos or objects than those of {truth.source or 'the dataset'}; "
            "evaluate it again on these"
        )
    return folder


def checked_results(path: Path, truth: GroundTruth) -> Sequence[CocoResult]:
    """The rows of the results file of a run, checked against the ground truth; see `validate_results`.

    Raises:
        DataError: the file cannot be read, or a row does not fit the ground truth.
    """
    rows = read_results(path)
    try:
        return validate_results(rows, truth)[0]
    except DataError as error:
        raise DataError(f"{path}: {error}; evaluate the run again") from error


def require_evaluated(run: Path) -> RunFolder:
    """The folder of an evaluated run.

    Raises:
        RunError: it is another folder, or the run was not evaluated.
    """
    folder = RunFolder(run)
    if not folder.predictions.is_file() or not folder.metrics.is_file():
        if not os.path.exists(run) or not (folder.weights.is_file() or folder.config.is_file()):
            raise RunError(explain_wrong_path(run, Wanted.EVALUATED) or f"{run}: not an evaluated run")
        evaluate = shell_command(["clothseg", "evaluate", run, "DATA"])
        raise RunError(f"{run}: not an evaluated run; run `{evaluate}` first")
    return folder


def stored_thresholds(source: Path) -> dict[str, float]:
    """The best score threshold of each class by name, from a `metrics.json` or the folder of an evaluated run.

    A class without a correct detection has no threshold.

    Raises:
        RunError: there is no such file, or it has no thresholds.
        DataError: it is not a metrics file.
    """
    path = RunFolder(source).metrics if source.is_dir() else source
    if not os.path.isfile(path):
        raise RunError(f"{path}: no such file; `clothseg evaluate RUN DATA` writes it{near_path(path)}")
    found = _read_metrics(path).thresholds
    if not found:
        raise RunError(f"{path}: it has no thresholds, because no detection was correct; evaluate again")
    return {name: threshold.score for name, threshold in found.items()}


def _read_metrics(path: Path) -> Metrics:
    try:
        return Metrics.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, DataError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def shared_data(sources: Sequence[Path], option: str = "with --data") -> Path:
    """The dataset of the runs among `sources`; results files do not name one.

    Messages say that `option` names it.

    A run keeps the path as it was typed for training. If that path does not exist from here, it is tried from the run's
    folder and from each folder above it, so runs can be moved together with their data.

    Raises:
        RunError: a source does not exist, no run names a dataset, the dataset is not found, or the runs name different
            ones.
    """
    for source in sources:
        if not source.exists():
            raise RunError(f"{source}: no such run or results file{near_path(source)}")
    named = {source: str(RunFolder(source).read_facts().get("data") or "") for source in sources if source.is_dir()}
    named = {source: place for source, place in named.items() if place}
    if not named:
        raise RunError(f"no run names its dataset; name it {option}")
    places = {source: _find_data(source, Path(place)) for source, place in named.items()}
    lost = [source for source, place in places.items() if place is None]
    if lost:
        raise RunError(
            f"{lost[0]} was trained on {named[lost[0]]}, which is neither here nor beside the run; name its "
            f"place {option}"
        )
    found = {place.resolve(): place for place in places.values() if place is not None}
    if len(found) > 1:
        listed = ", ".join(f"{source} has {place}" for source, place in named.items())
        raise RunError(f"the runs name different datasets ({listed}); name the photos to compare on {option}")
    return next(iter(found.values()))


def _find_data(run: Path, named: Path) -> Path | None:
    """The dataset of a run: at the named path, at that path from the run or a folder above it, or inside the run."""
    above = run.resolve()
    tried = [named, *(folder / named for folder in (above, *above.parents)), above / named.name]
    return next((place for place in tried if os.path.exists(place)), None)
