"""Simulated out-of-memory during training: the run continues with smaller micro-batches, or explains why it cannot."""

from pathlib import Path

import pytest
import torch

from clothseg.config import Config
from clothseg.errors import RunError, SpoiledRun, is_out_of_memory
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder
from clothseg.training import Examples, HistoryRow, read_checkpoint, read_history
from clothseg.training.memory.oom import handle_oom, split_batches
from clothseg.training.validation import Validator

from ..conftest import SMALL, Photos

ERRORS = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory: you tried ..."),
    MemoryError(),
)


def fail_beyond(monkeypatch: pytest.MonkeyPatch, max_photos: int, error: BaseException) -> list[int]:
    """Makes losses fail for more than `max_photos` photos at once; returns the sizes that are tried."""
    losses, tried = Examples.losses, []

    def fail(examples: Examples, batch: list[tuple[int, int]]) -> dict[str, torch.Tensor]:
        tried.append(len(batch))
        answer = losses(examples, batch)  # uses random numbers, as a real failure does
        if len(batch) > max_photos and torch.is_grad_enabled():
            raise error
        return answer

    monkeypatch.setattr(Examples, "losses", fail)
    return tried


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_out_of_memory_halves_the_batch(
    error: BaseException, photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights are those of a run with half the batch and twice the accumulation, bit for bit."""
    train, val = photos
    small = [*SMALL, "train.grad_accumulation_steps=2", "train.batch_size=1"]
    MaskRCNN(Config.load("demo", small)).build(train.classes).fit(train, val, tmp_path / "small", quiet=True)
    tried = fail_beyond(monkeypatch, 1, error)
    MaskRCNN(Config.load("demo", SMALL)).build(train.classes).fit(train, val, tmp_path / "large", quiet=True)
    log = RunFolder(tmp_path / "large").log.read_text()
    assert log.count("out of memory") == 1
    assert "1 of the 2 photos" in log
    assert tried[:3] == [2, 1, 1]
    one, other = (read_checkpoint(RunFolder(tmp_path / name).last) for name in ("small", "large"))
    assert (one.micro_batches, other.micro_batches) == (1, 2)
    assert all(torch.equal(one.network[name], other.network[name]) for name in one.network)
    rows = [read_history(tmp_path / name / "history.csv") for name in ("small", "large")]
    assert [row | {"seconds": 0} for row in rows[0]] == [row | {"seconds": 0} for row in rows[1]]


def test_a_resumed_run_keeps_the_halved_batch(photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.load("demo", SMALL)
    train, val = photos
    fail_beyond(monkeypatch, 1, ERRORS[1])
    folder = RunFolder(tmp_path / "run")
    MaskRCNN(config).build(train.classes).fit(train, val, folder.path, quiet=True)
    monkeypatch.undo()
    tried = fail_beyond(monkeypatch, 2, ERRORS[1])
    longer = MaskRCNN(config.extended(1)).build(train.classes)
    longer.fit(train, val, folder.path, resume=True, quiet=True)
    assert set(tried) == {1}


def test_one_photo_that_does_not_fit_is_an_error(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.load("demo", SMALL)
    train, val = photos
    fail_beyond(monkeypatch, 0, ERRORS[2])
    with pytest.raises(RunError, match=r"one photo alone.*activation_checkpointing"):
        MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "run", quiet=True)
    assert "computed each time from here on, not cached" in RunFolder(tmp_path / "run").log.read_text()


def test_out_of_memory_in_validation_halves_the_batch(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.load("demo", SMALL)
    train, val = photos
    validate, tried = Validator.validate, []

    def fail(validator: Validator, epoch: int, micro_batches: int) -> HistoryRow:
        tried.append((epoch, micro_batches))
        if micro_batches == 1:
            raise ERRORS[1]
        return validate(validator, epoch, micro_batches)

    monkeypatch.setattr(Validator, "validate", fail)
    folder = RunFolder(tmp_path / "run")
    MaskRCNN(config).build(train.classes).fit(train, val, folder.path, quiet=True)
    assert tried == [(1, 1), (1, 2), (2, 2)]
    assert folder.log.read_text().count("out of memory") == 1
    assert [row["epoch"] for row in read_history(folder.history)] == [1, 2]
    assert read_checkpoint(folder.last).micro_batches == 2


def test_out_of_memory_in_the_optimizer_keeps_the_last_checkpoint(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some weights may have changed, so this state does not replace the checkpoint before."""
    config = Config.load("demo", [*SMALL, "train.optimizer=adamw"])
    train, val = photos
    step, steps = torch.optim.AdamW.step, []

    def fail(optimizer: torch.optim.AdamW, closure: None = None) -> None:
        steps.append(1)
        if len(steps) == 5:
            next(p for p in optimizer.param_groups[0]["params"]).data.zero_()
            raise ERRORS[1]
        step(optimizer, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", fail)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(SpoiledRun, match=r"out of memory while the weights were changed.*--resume"):
        MaskRCNN(config).build(train.classes).fit(train, val, folder.path, quiet=True)
    assert read_checkpoint(folder.last).step == 3
    monkeypatch.undo()
    MaskRCNN(config).build(train.classes).fit(train, val, folder.path, resume=True, quiet=True)
    whole = RunFolder(tmp_path / "whole")
    MaskRCNN(config).build(train.classes).fit(train, val, whole.path, quiet=True)
    one, other = (read_checkpoint(run.last).network for run in (folder, whole))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_other_errors_are_not_out_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)"))
    assert not is_out_of_memory(KeyError("out of memory"))


def test_split_batches_matches_hand_computed_splits() -> None:
    assert split_batches([[1, 2, 3], [4, 5]], 1) == [[1, 2, 3], [4, 5]]
    assert split_batches([[1, 2, 3], [4, 5]], 2) == [[1], [2, 3], [4], [5]]
    assert split_batches([[1, 2, 3], [4, 5]], 4) == [[1], [2], [3], [4], [5]]


class Cache:
    """A feature cache with one entry."""

    def __init__(self) -> None:
        self.cached: dict[int, int] = {1: 1}

    def disable_cache(self) -> None:
        self.cached = {}


def test_out_of_memory_halves_micro_batches_then_drops_the_cache_then_fails() -> None:
    cache = Cache()
    micro_batches, tried = 1, []
    for _ in range(3):
        micro_batches, _ = handle_oom(micro_batches, 5, [cache], 1)
        tried.append(micro_batches)
    assert tried == [2, 4, 5]
    assert cache.cached
    assert handle_oom(5, 5, [cache], 1)[0] == 5
    assert not cache.cached
    with pytest.raises(RunError, match="one photo alone"):
        handle_oom(5, 5, [cache], 1)
    with pytest.raises(RunError, match="2 processes that learn together cannot change the batch"):
        handle_oom(1, 5, [cache], 2)
