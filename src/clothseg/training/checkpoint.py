"""Checkpoints: everything that going on needs, in one file that is written whole or not at all."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from clothseg.errors import RunError
from clothseg.files import whole_file
from clothseg.training.history import Row


@dataclass
class Checkpoint:
    """Where a training stands.

    Attributes:
        step: steps done since the start.
        network, optimizer, sampler: their `state_dict`.
        generator: state of the network's generator.
        rows: of the history so far.
        sums: losses summed over the steps of the epoch that has begun.
        best: smallest value of the loss that chooses the best epoch.
        seconds: time spent training so far.
    """

    step: int
    network: dict[str, Any]
    optimizer: dict[str, Any]
    sampler: dict[str, Any]
    generator: torch.Tensor
    rows: list[Row]
    sums: dict[str, float]
    best: float
    seconds: float


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write it whole or not at all."""
    with whole_file(path) as temporary:
        torch.save(asdict(checkpoint), temporary)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read what `write_checkpoint` wrote.

    Raises:
        RunError: there is none, or it is damaged.
    """
    if not path.is_file():
        raise RunError(f"{path}: no checkpoint there; a run is resumed from a folder that `fit` made")
    try:
        return Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises many kinds for a damaged file
        raise RunError(f"{path}: the checkpoint is damaged ({error})") from error
