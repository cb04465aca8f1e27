"""Checkpoints: everything that resuming needs, in one file that is written atomically."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from clothseg.dataset import CocoLikeDataset
from clothseg.errors import RunError, is_out_of_memory, shown
from clothseg.files import atomic_file, replace_file
from clothseg.training.history import HistoryRow

_KINDS: dict[str, Any] = {
    **dict.fromkeys(("network", "optimizer", "sampler", "sums", "ema", "pseudo_labels", "pseudo_masks", "lost"), dict),
    **dict.fromkeys(("rows", "classes"), list),
    **dict.fromkeys(("step", "micro_batches"), int),
    **{"generator": torch.Tensor, "data": str, "seconds": (int, float)},
}
"""The types of the fields, because a damaged file can hold anything."""


@dataclass
class Checkpoint:
    """The state of a training.

    Attributes:
        step: number of steps done.
        network, optimizer, sampler: their `state_dict`.
        generator: state of the network's generator.
        rows: of the history.
        sums: sums of the losses over the steps of the current epoch.
        ema: averaged weights by name; empty without an EMA.
        data: checksum of the annotations.
        classes: names of the classes 1..K.
        seconds: training time.
        micro_batches: into which each batch is split; more than 1 after out-of-memory.
        pseudo_labels: `PseudoLabels.state_dict` of photos without labels; empty if the training has none yet.
        pseudo_masks: `PseudoMasks.state_dict` of objects with only a box; empty if the training has none yet.
        lost: `LostPhotos.state_dict` of training photos that could not be read.
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
    pseudo_labels: dict[str, Any] = field(default_factory=dict)
    pseudo_masks: dict[str, Any] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)


class _WatchedFile(io.FileIO):
    """A file that keeps what the system said: torch turns a full disk into a RuntimeError about positions."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.error = error
            raise


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint atomically; the one before stays beside it, at `previous(path)`."""
    with atomic_file(path) as temporary:
        file = _WatchedFile(temporary, "wb")
        try:
            with io.BufferedWriter(file) as stream:
                torch.save(asdict(checkpoint), stream)
        except RuntimeError as error:
            raise file.error or error from error
        if path.is_file():
            replace_file(path, previous(path))


def previous(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is."""
    return path.with_name(f"{path.stem}-previous{path.suffix}")


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads what `write_checkpoint` wrote.

    Raises:
        RunError: it is missing or damaged.
    """
    if not path.is_file():
        raise RunError(
            f"{path}: no checkpoint, so there is nothing to resume; start the run, or replace it with --overwrite"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():  # torch does not verify the checksums
                raise _damaged(path, f"in {damaged}")
        checkpoint = Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
    except RunError:
        raise
    except Exception as error:  # torch raises many kinds for a damaged file
        raise _damaged(path, str(error)) from error
    for name, kind in _KINDS.items():
        value = getattr(checkpoint, name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise _damaged(path, f"{name} is {shown(value)}")
    return checkpoint


def _damaged(path: Path, what: str) -> RunError:
    return RunError(
        f"{path}: the checkpoint is damaged ({what}); copy the run again, or start a new one with --weights"
    )


def read_last(path: Path, use: Callable[[Checkpoint], None]) -> tuple[Checkpoint, str]:
    """Uses the checkpoint at `path`, or the one before it if that is damaged, missing or cannot be used.

    Args:
        path: of the last checkpoint.
        use: continues from a checkpoint; any exception but out-of-memory means that it cannot.

    Returns:
        the checkpoint, and what was wrong with the newer one; empty if nothing was.

    Raises:
        RunError: neither can be read and used.
    """
    for unfinished in path.parent.glob(f".{path.stem}*"):  # of a process that was killed while writing
        unfinished.unlink(missing_ok=True)
    try:
        return _used(path, use), ""
    except RunError as error:
        if not previous(path).is_file():
            raise
        checkpoint = _used(previous(path), use)
        return checkpoint, f"{error}; resuming from the one before, at step {checkpoint.step}"


def _used(path: Path, use: Callable[[Checkpoint], None]) -> Checkpoint:
    checkpoint = read_checkpoint(path)
    try:
        use(checkpoint)
    except Exception as error:  # parts that are missing, or that do not fit: PyTorch raises many kinds
        if is_out_of_memory(error):  # the checkpoint is not to blame
            raise
        reason = str(error) if isinstance(error, RuntimeError | ValueError) else f"{type(error).__name__}: {error}"
        raise RunError(f"{path}: the checkpoint does not fit this run ({reason})") from error
    return checkpoint


def checksum(*datasets: CocoLikeDataset) -> str:
    """A checksum of the photos' names and all annotations, in their order."""
    digest = hashlib.sha256()
    for dataset in datasets:
        for entry in dataset.images:
            row = [entry.id, entry.path.name, entry.height, entry.width, entry.annotations]
            digest.update(json.dumps(row, sort_keys=True).encode())
    return digest.hexdigest()
