"""Checkpoints: everything that going on needs, in one file that is written whole or not at all."""

import hashlib
import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from clothseg.dataset import CocoLikeDataset
from clothseg.errors import RunError
from clothseg.files import atomic_file, replace_file
from clothseg.training.history import HistoryRow


@dataclass
class Checkpoint:
    """Where a training stands.

    Attributes:
        step: steps done since the start.
        network, optimizer, sampler: their `state_dict`.
        generator: state of the network's generator.
        rows: of the history so far.
        sums: losses summed over the steps of the epoch that has begun.
        average: running average of the weights by name; empty without one.
        data: checksum of the annotations that it learned from.
        classes: names of the classes 1..K.
        seconds: time spent training so far.
        parts: that each batch is learned from in, one after the other; more than 1 after memory ran out.
    """

    step: int
    network: dict[str, Any]
    optimizer: dict[str, Any]
    sampler: dict[str, Any]
    generator: torch.Tensor
    rows: list[HistoryRow]
    sums: dict[str, float]
    ema: dict[str, torch.Tensor]
    data: str
    classes: list[str]
    seconds: float
    micro_batches: int = 1


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write it whole or not at all; the one before stays beside it, as `previous(path)`."""
    with atomic_file(path) as temporary:
        torch.save(asdict(checkpoint), temporary)
        if path.is_file():
            replace_file(path, previous(path))


def previous(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return path.with_name(f"{path.stem}-previous{path.suffix}")


def read_checkpoint(path: Path) -> Checkpoint:
    """Read what `write_checkpoint` wrote.

    Raises:
        RunError: there is none, or it is damaged.
    """
    if not path.is_file():
        raise RunError(
            f"{path}: no checkpoint there, so there is nothing to go on from; begin the run, with --overwrite if its "
            "folder is there"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():  # torch does not look at the checksums
                raise RunError(f"{path}: the checkpoint is damaged (in {damaged})")
        return Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
    except RunError:
        raise
    except Exception as error:  # torch raises many kinds for a damaged file
        raise RunError(f"{path}: the checkpoint is damaged ({error})") from error


def read_last(path: Path) -> tuple[Checkpoint, str]:
    """The checkpoint at `path`, or the one before it where that is damaged or gone.

    Returns:
        the checkpoint; and a sentence on what was wrong with the newer one, or nothing.

    Raises:
        RunError: neither can be read.
    """
    for unfinished in path.parent.glob(f".{path.stem}*"):  # of a process that was killed while it wrote
        unfinished.unlink(missing_ok=True)
    try:
        return read_checkpoint(path), ""
    except RunError as error:
        if not previous(path).is_file():
            raise
        checkpoint = read_checkpoint(previous(path))
        return checkpoint, f"{error}; going on from the one before, at step {checkpoint.step}"


def checksum(*datasets: CocoLikeDataset) -> str:
    """Of the photos' names and all annotations, in their order."""
    digest = hashlib.sha256()
    for dataset in datasets:
        for entry in dataset.images:
            row = [entry.id, entry.path.name, entry.height, entry.width, entry.annotations]
            digest.update(json.dumps(row, sort_keys=True).encode())
    return digest.hexdigest()
