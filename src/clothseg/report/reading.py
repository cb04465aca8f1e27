"""Reads the files that a page is made from. A file that does not exist yet is None; a broken file is an error."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from clothseg.errors import DataError, RunError
from clothseg.evaluation import Metrics
from clothseg.evaluation.stored import dataset_root
from clothseg.evaluation.truth import GroundTruth, read_truth
from clothseg.instances import (
    CocoAnnotation,
    CocoImage,
    CocoResult,
    Instances,
    RleMasks,
    from_segmentation,
    from_xywh,
    tight_box,
)
from clothseg.runs import RunFolder

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


def read_run(run: Path, data: Path) -> RunFiles:
    """Reads all existing files of a run and of its dataset.

    Raises:
        RunError: `run` is not a folder, or a file in it cannot be read.
        DataError: a file of the dataset cannot be read.
    """
    if not run.is_dir():
        raise RunError(f"{run}: no such run; `clothseg fit DATA --out {run}` makes one")
    folder = RunFolder(run)
    return RunFiles(
        run=run,
        data=dataset_root(data),
        facts=folder.read_facts(),
        config=_read(folder.config, str, RunError),
        history=_read(folder.history, _table, RunError) or [],
        metrics=_read(folder.metrics, Metrics.from_json, RunError),
        initial=_read(folder.initial_metrics, Metrics.from_json, RunError),
        predictions=_read(folder.predictions, _list, RunError),
        train=_read_split(dataset_root(data) / "annotations" / "train.json"),
        val=_read_split(data if data.is_file() else data / "annotations" / "val.json"),
        description=_read(dataset_root(data) / "dataset.yaml", str, DataError),
    )


def results_by_photo(images: Sequence[CocoImage], rows: Sequence[CocoResult]) -> dict[int, list[CocoResult]]:
    """The results of each photo by its id; results of other photos are left out."""
    found: dict[int, list[CocoResult]] = {image["id"]: [] for image in images}
    for row in rows:
        if row["image_id"] in found:
            found[row["image_id"]].append(row)
    return found


def to_instances(rows: Sequence[CocoAnnotation | CocoResult], image: CocoImage) -> Instances:
    """The annotations or results of one photo as instances; rows without a mask are left out.

    Raises:
        DataError: a mask does not fit the photo.
    """
    rows = [row for row in rows if row.get("segmentation")]
    size = (image["height"], image["width"])
    runs = [from_segmentation(row["segmentation"], *size) for row in rows]
    boxes = [row.get("bbox") or tight_box(mask) for row, mask in zip(rows, runs, strict=True)]
    return Instances(
        size=size,
        boxes=from_xywh(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)),
        classes=torch.tensor([row["category_id"] for row in rows], dtype=torch.int64),
        masks=RleMasks(runs, size),
        scores=torch.tensor([row.get("score", 1.0) for row in rows], dtype=torch.float32),
        crowd=torch.tensor([bool(row.get("iscrowd", 0)) for row in rows], dtype=torch.bool),
    )


def _read(path: Path, parse: Callable[[str], T], kind: type[RunError] | type[DataError]) -> T | None:
    if not path.is_file():
        return None
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, DataError) as error:
        raise kind(f"{path}: cannot be read ({type(error).__name__}: {error})") from error


def _read_split(path: Path) -> GroundTruth | None:
    return read_truth(path) if path.is_file() else None


def _list(text: str) -> Sequence[CocoResult]:
    rows: Sequence[CocoResult] = json.loads(text)
    if not isinstance(rows, list):
        raise ValueError("expected a list of COCO results")
    return rows


def _table(text: str) -> Sequence[Mapping[str, str]]:
    return list(csv.DictReader(text.splitlines()))
