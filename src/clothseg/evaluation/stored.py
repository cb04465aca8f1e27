"""Detections that are on disk already: those of an evaluated run, or a results file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clothseg.errors import DataError, RunError
from clothseg.evaluation.metrics import Metrics
from clothseg.evaluation.truth import read_truth
from clothseg.evaluation.validate_results import read_results
from clothseg.runs import RunFolder


def stored_results(source: Path, truth: Path) -> list[Any]:
    """Rows of COCO results from a run's folder or a results file.

    Raises:
        RunError: the folder is no evaluated run, or was evaluated on something else than `truth`.
        DataError: a file cannot be read.
    """
    if not source.is_dir():
        return read_results(source)
    folder = RunFolder(source)
    if not folder.predictions.is_file() or not folder.metrics.is_file():
        raise RunError(f"{source}: no evaluated run; `clothseg evaluate {source} DATA` makes its detections")
    judged_on = Metrics.from_json(folder.metrics.read_text(encoding="utf-8")).truth
    if judged_on and judged_on != read_truth(truth).fingerprint:
        raise RunError(
            f"{source} was evaluated on other photos or objects than those of {truth}; evaluate it again on these"
        )
    return read_results(folder.predictions)


def stored_thresholds(source: Path) -> dict[str, float]:
    """The best score threshold of each class by its name, from `metrics.json` or the folder of an evaluated run.

    A class that was never found rightly has none.

    Raises:
        RunError: there is no such file, or it has no thresholds.
        DataError: it is not a metrics file.
    """
    path = RunFolder(source).metrics if source.is_dir() else source
    if not path.is_file():
        raise RunError(f"{path}: no such file; `clothseg evaluate RUN DATA` writes it")
    try:
        found = Metrics.from_json(path.read_text(encoding="utf-8")).thresholds
    except (OSError, UnicodeDecodeError, DataError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not found:
        raise RunError(f"{path}: it has no thresholds, because nothing was found rightly; evaluate again")
    return {name: threshold.score for name, threshold in found.items()}


def shared_data(sources: Sequence[Path]) -> Path:
    """The data set that all runs among `sources` name; results files name none.

    A run keeps the path as it was typed for its training. Where that leads nowhere from here, it is tried from the
    run's folder and from each folder above it, so that runs can be moved together with their data.

    Raises:
        RunError: no run names one, it is not there, or they name different ones.
    """
    named = {source: str(RunFolder(source).read_facts().get("data") or "") for source in sources if source.is_dir()}
    named = {source: place for source, place in named.items() if place}
    if not named:
        raise RunError("no run says which data set it belongs to; say it with --data")
    places = {source: _data_of(source, Path(place)) for source, place in named.items()}
    lost = [source for source, place in places.items() if place is None]
    if lost:
        raise RunError(
            f"{lost[0]} was trained on {named[lost[0]]}, which is neither here nor beside the run; "
            "say with --data where it is"
        )
    found = {place.resolve(): place for place in places.values() if place is not None}
    if len(found) > 1:
        said = ", ".join(f"{source} has {place}" for source, place in named.items())
        raise RunError(f"the runs name different data sets ({said}); say with --data which photos to compare on")
    return next(iter(found.values()))


def _data_of(run: Path, named: Path) -> Path | None:
    """Where the data set of a run is: as named, from the run or a folder above it, or inside the run."""
    above = run.resolve()
    tried = [named, *(folder / named for folder in (above, *above.parents)), above / named.name]
    return next((place for place in tried if place.exists()), None)
