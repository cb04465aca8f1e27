"""Reads the files that a page is made from. A file that does not exist yet is None; a broken file is an error."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from clothseg.errors import DataError, RunError, shell_command
from clothseg.evaluation import Metrics
from clothseg.evaluation.stored import split_of_run, truth_for, validation_split
from clothseg.evaluation.truth import GroundTruth, read_truth
from clothseg.evaluation.validate_results import read_results, validate_results
from clothseg.instances import (
    CocoAnnotation,
    CocoImage,
    CocoResult,
    Instances,
    RleMasks,
    empty_rle,
    from_segmentation,
    from_xywh,
    is_box_only,
    tight_box,
)
from clothseg.runs import RunFolder
from clothseg.training import read_history

T = TypeVar("T")


@dataclass(frozen=True)
class RunFiles:
    """The contents of a run's folder and of its dataset.

    Attributes:
        run: the run's folder.
        data: the dataset's folder.
        facts: `run.json`; empty if there is none.
        config: text of `config.yaml`.
        history: rows of `history.csv`, as text by column; empty if there are none.
        metrics: `metrics.json`.
        initial: `metrics-initial.json`.
        predictions: `predictions.json`.
        train: ground truth of the training photos.
        val: ground truth of the validation photos.
        description: text of the dataset's `dataset.yaml`.
    """

    run: Path
    data: Path
    facts: Mapping[str, Any]
    config: str | None
    history: Sequence[Mapping[str, str]]
    metrics: Metrics | None
    initial: Metrics | None
    predictions: Sequence[CocoResult] | None
    train: GroundTruth | None
    val: GroundTruth | None
    description: str | None

    @property
    def images(self) -> Path:
        """The folder of the photos."""
        return self.data / "images" if (self.data / "images").is_dir() else self.data

    @property
    def names(self) -> list[str]:
        """The class names, in the order of their ids."""
        known = self.val or self.train
        if known is not None:
            return list(known.names.values())
        return [str(name) for name in self.facts.get("classes", [])]


def read_run(run: Path, data: Path, split: str | None = None) -> RunFiles:
    """Reads all existing files of a run and of its dataset.

    Args:
        run: the run's folder.
        data: the dataset.
        split: that the run was evaluated on; by default the validation photos.

    Raises:
        RunError: `run` is not a folder, or a file in it cannot be read.
        DataError: a file of the dataset cannot be read.
    """
    if not run.is_dir():
        fit = shell_command(["clothseg", "fit", "DATA", "--out", run])
        raise RunError(f"{run}: no such run; `{fit}` makes one")
    folder = RunFolder(run)
    if folder.history.is_file():
        read_history(folder.history)  # raises an error that names the row
    val = truth_for(data, split, [run]) if _exists(data, split, run) else None
    return RunFiles(
        run=run,
        data=data,
        facts=folder.read_facts(),
        config=_read(folder.config, str, RunError),
        history=_read(folder.history, _table, RunError) or [],
        metrics=_read(folder.metrics, Metrics.from_json, RunError),
        initial=_read(folder.initial_metrics, Metrics.from_json, RunError),
        predictions=_predictions(folder.predictions, val),
        train=_read_train(data, run),
        val=val,
        description=_read(data / "dataset.yaml", str, DataError),
    )


def results_by_photo(images: Sequence[CocoImage], rows: Sequence[CocoResult]) -> dict[int, list[CocoResult]]:
    """The results of each photo by its id; results of other photos are left out."""
    found: dict[int, list[CocoResult]] = {image["id"]: [] for image in images}
    for row in rows:
        if row["image_id"] in found:
            found[row["image_id"]].append(row)
    return found


def to_instances(rows: Sequence[CocoAnnotation | CocoResult], image: CocoImage) -> Instances:
    """The annotations or results of one photo as instances.

    Results without a mask are left out. Of an annotation without a mask only the box is known.

    Raises:
        DataError: a mask does not fit the photo.
    """
    rows = [row for row in rows if not is_box_only(row) or ("iscrowd" in row and row.get("bbox"))]
    size = (image["height"], image["width"])
    has_mask = [not is_box_only(row) for row in rows]
    masks = zip(rows, has_mask, strict=True)
    runs = [from_segmentation(row["segmentation"], *size) if known else empty_rle(size) for row, known in masks]
    boxes = [row.get("bbox") or tight_box(mask) for row, mask in zip(rows, runs, strict=True)]
    return Instances(
        size=size,
        boxes=from_xywh(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)),
        classes=torch.tensor([row["category_id"] for row in rows], dtype=torch.int64),
        masks=RleMasks(runs, size),
        scores=torch.tensor([row.get("score", 1.0) for row in rows], dtype=torch.float32),
        crowd=torch.tensor([bool(row.get("iscrowd", 0)) for row in rows], dtype=torch.bool),
        has_mask=torch.tensor(has_mask, dtype=torch.bool),
    )


def _read(path: Path, parse: Callable[[str], T], kind: type[RunError] | type[DataError]) -> T | None:
    if not path.is_file():
        return None
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, DataError) as error:
        raise kind(f"{path}: cannot be read ({type(error).__name__}: {error})") from error


def _exists(data: Path, split: str | None, run: Path) -> bool:
    """Whether there is a ground truth file, whatever is in it."""
    try:
        validation_split(data, split, [run])
    except DataError:
        return False
    return True


def _read_train(data: Path, run: Path) -> GroundTruth | None:
    """The ground truth of the training photos; None if neither the dataset nor the run says which these are."""
    for split in ("train", None):  # a file of another name has them if the run split it
        if not _exists(data, split, run):
            continue
        files = validation_split(data, split, [run])
        own = split_of_run([run], files)
        if own is not None or (split and files.role):
            truth = read_truth(files.annotations, files.photos)
            return truth if own is None else truth.only(set(own.train))
    return None


def _predictions(path: Path, truth: GroundTruth | None) -> Sequence[CocoResult] | None:
    """The results in the file; those of photos that are not in the ground truth are left out."""
    if not path.is_file():
        return None
    try:
        rows = read_results(path)
        if truth is None:
            return []
        known = [row for row in rows if type(_photo_of(row)) is not int or _photo_of(row) in truth.sizes]
        return validate_results(known, truth)[0]
    except DataError as error:
        raise RunError(f"{path}: {str(error).removeprefix(f'{path}: ')}; evaluate the run again") from error


def _photo_of(row: Any) -> Any:
    return row.get("image_id") if isinstance(row, Mapping) else None


def _table(text: str) -> Sequence[Mapping[str, str]]:
    return list(csv.DictReader(text.splitlines()))
