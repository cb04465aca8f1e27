"""A `clothseg fit` that is killed with SIGKILL resumes bit for bit."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fresh_process import FreshProcesses, Process
from safetensors.torch import load_file

from clothseg import sample
from clothseg.openimages import BuildOptions, build_dataset
from clothseg.runs import RunFolder
from clothseg.training import read_checkpoint, read_history

from .conftest import CLASSES

Start = Callable[..., Process]
CONFIG = """
extends: demo
weights: random
input: {height: 96, width: 64}
backbone: {name: timm/test_efficientnet, frozen_stages: 2}
network:
  fpn: {channels: 16}
  box_head: {fc_dim: 32, dropout: 0.2}
  mask_head: {channels: 16}
inference: {max_detections: 3, score_threshold: 0.0}
augment: {fixed_views: 0, rotate: 5}
train:
  epochs: 4
  steps_per_epoch: 3
  batch_size: 2
  ema_decay: 0.9
  checkpoint_every_steps: 1
  evaluate_every: 2
  monitor: val_total
  patience: 3
  repeat_threshold: 0.9
  stages: [{trainable: heads, end_epoch: 2}, {trainable: 4+, end_epoch: 4}]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "tiny"
    build_dataset(sample.folder(), out, CLASSES, BuildOptions(limit=3, max_size=128))
    (out.parent / "tiny.yaml").write_text(CONFIG)
    return out


@pytest.fixture(scope="module")
def start(data: Path, fresh_torch: FreshProcesses) -> Start:
    """Starts a training in a process with one thread: the same order of sums in all runs."""

    def started(run: Path, *options: str) -> Process:
        settings = () if "--resume" in options else ("--config", data.parent / "tiny.yaml")
        return fresh_torch.start(["fit", data, "--out", run, "--quiet", *settings, *options])

    return started


def finish(process: Process) -> None:
    assert process.wait() == 0, process.stderr


def kill_when(process: Process, seen: Path, pattern: str, count: int = 1) -> bool:
    """Kills the process as soon as `count` files match; False if the process ended before."""
    while process.poll() is None:
        if seen.is_dir() and len(list(seen.glob(pattern))) >= count:
            process.kill()
            process.wait()
            return True
        time.sleep(0.001)
    return False


def wait_for_another(checkpoint: Path, process: Process) -> None:
    before = checkpoint.stat().st_mtime_ns
    while process.poll() is None:
        try:
            if checkpoint.stat().st_mtime_ns != before:
                return
        except FileNotFoundError:  # while the new file replaces it
            pass
        time.sleep(0.001)


def assert_same(one: Path, other: Path) -> None:
    """Histories (without the seconds) and all weights are equal to the last bit."""
    left, right = (read_history(RunFolder(run).history) for run in (one, other))
    assert [row | {"seconds": 0} for row in left] == [row | {"seconds": 0} for row in right]
    assert "mask_AP" in left[-1]
    first, second = (load_file(RunFolder(run).weights) for run in (one, other))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    for name in ("network", "ema"):
        ended, again = (getattr(read_checkpoint(RunFolder(run).last), name) for run in (one, other))
        assert all(torch.equal(ended[key], again[key]) for key in ended)


@pytest.fixture(scope="module")
def whole(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    finish(start(run))
    return run


def test_a_run_killed_while_it_writes_a_checkpoint_resumes_exactly(start: Start, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(run)
    folder = RunFolder(run).last.parent
    while process.poll() is None and not (folder / "last-previous.pt").exists():
        time.sleep(0.001)  # until two checkpoints are written
    assert kill_when(process, folder, ".*.pt")  # the temporary name of a file that is being written
    finish(start(run, "--resume"))
    assert_same(whole, run)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_run_killed_at_random_moments_resumes_exactly(seed: int, start: Start, whole: Path, tmp_path: Path) -> None:
    run, random_numbers = tmp_path / "run", random.Random(seed)
    folder = RunFolder(run)
    process, killed = start(run), 0
    while process.poll() is None and not folder.last.is_file():
        time.sleep(0.01)
    for _ in range(6):
        for _ in range(random_numbers.randrange(3)):
            wait_for_another(folder.last, process)
        time.sleep(random_numbers.random() * 0.5)
        if process.poll() is None:
            process.kill()
            killed += 1
        process.wait()
        step = read_checkpoint(folder.last).step if folder.last.is_file() else 0
        process = start(run, "--resume")
        while process.poll() is None and "resuming at step" not in folder.log.read_text().splitlines()[-1]:
            time.sleep(0.01)
        print(f"killed at step {step}")
    process.wait()
    finish(start(run, "--resume"))
    assert killed
    assert_same(whole, run)
