"""The files that a page is made from, as values. A file that is not there yet is None; a broken one is an error."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch

from clothseg.errors import ClothsegError, DataError, RunError
from clothseg.evaluation import Metrics
from clothseg.instances import Instances, RleMasks, from_segmentation, from_xywh
from clothseg.runs import RunFolder

T = TypeVar("T")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Truth:
    """One split of a COCO data set: photos, objects, and class names by id."""

    images: Sequence[Row]
    annotations: Sequence[Row]
    names: Mapping[int, str]

    @cached_property
    def by_photo(self) -> dict[int, list[Row]]:
        """The objects of each photo; an empty list for a photo without any."""
        return by_photo(self.images, self.annotations)


@dataclass(frozen=True)
class RunFiles:
    """What a run folder and its data set hold. `facts` is `run.json`, empty where there is none."""

    run: Path
    data: Path
    facts: Row
    config: str | None
    history: Sequence[Mapping[str, str]]
    metrics: Metrics | None
    initial: Metrics | None
    predictions: Sequence[Row] | None
    train: Truth | None
    val: Truth | None
    description: str | None

    @property
    def names(self) -> list[str]:
        """The classes, in the order of their ids."""
        known = self.val or self.train
        if known is not None:
            return [known.names[class_id] for class_id in sorted(known.names)]
        return [str(name) for name in self.facts.get("classes", [])]


def read_run(run: Path, data: Path) -> RunFiles:
    """Read all files of a run and of its data set that are there.

    Raises:
        RunError: `run` is no folder, or a file in it cannot be read.
        DataError: a file of the data set cannot be read.
    """
    if not run.is_dir():
        raise RunError(f"{run}: no such run; `clothseg fit DATA --out {run}` makes one")
    folder = RunFolder(run)
    return RunFiles(
        run=run,
        data=data,
        facts=folder.read_facts(),
        config=_read(folder.config, str, RunError),
        history=_read(folder.history, _table, RunError) or [],
        metrics=_read(folder.metrics, Metrics.from_json, RunError),
        initial=_read(folder.initial_metrics, Metrics.from_json, RunError),
        predictions=_read(folder.predictions, _list, RunError),
        train=_read(data / "annotations" / "train.json", _truth, DataError),
        val=_read(data / "annotations" / "val.json", _truth, DataError),
        description=_read(data / "dataset.yaml", str, DataError),
    )


def by_photo(images: Sequence[Row], rows: Sequence[Row]) -> dict[int, list[Row]]:
    """`rows` by their `image_id`; those of photos that are not among `images` are left out."""
    sorted_rows: dict[int, list[Row]] = {int(image["id"]): [] for image in images}
    for row in rows:
        if row["image_id"] in sorted_rows:
            sorted_rows[row["image_id"]].append(row)
    return sorted_rows


def to_instances(rows: Sequence[Row], image: Row) -> Instances:
    """Annotations or results on one photo, those without a mask left out.

    Raises:
        DataError: a mask does not fit the photo.
    """
    rows = [row for row in rows if row.get("segmentation")]
    size = (int(image["height"]), int(image["width"]))
    return Instances(
        size=size,
        boxes=from_xywh(torch.tensor([row["bbox"] for row in rows], dtype=torch.float32).reshape(-1, 4)),
        classes=torch.tensor([row["category_id"] for row in rows], dtype=torch.int64),
        masks=RleMasks([from_segmentation(row["segmentation"], *size) for row in rows], size),
        scores=torch.tensor([float(row.get("score", 1.0)) for row in rows]),
        crowd=torch.tensor([bool(row.get("iscrowd", 0)) for row in rows], dtype=torch.bool),
    )


def _read(path: Path, parse: Callable[[str], T], kind: type[ClothsegError]) -> T | None:
    if not path.is_file():
        return None
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, DataError) as error:
        raise kind(f"{path}: cannot be read ({type(error).__name__}: {error})") from error


def _object(text: str) -> Row:
    tree = json.loads(text)
    if not isinstance(tree, dict):
        raise ValueError("expected an object of keys and values")
    return tree


def _list(text: str) -> Sequence[Row]:
    rows = json.loads(text)
    if not isinstance(rows, list):
        raise ValueError("expected a list of COCO results")
    return rows


def _table(text: str) -> Sequence[Mapping[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def _truth(text: str) -> Truth:
    tree = _object(text)
    names = {int(category["id"]): str(category["name"]) for category in tree["categories"]}
    return Truth(tree["images"], tree["annotations"], names)
