"""Several processes train like one process with all their photos."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fresh_process import FreshProcesses

from clothseg import sample
from clothseg.cores import usable_cores
from clothseg.distributed import DistributedContext, world_size_for
from clothseg.errors import ConfigError
from clothseg.openimages import BuildOptions, build_dataset
from clothseg.runs import RunFolder
from clothseg.training import read_checkpoint, read_history

TINY = [
    "weights=random",
    "backbone.name=timm/test_efficientnet",
    "input.height=96",
    "input.width=64",
    "network.fpn.channels=16",
    "network.box_head.fc_dim=32",
    "network.box_head.samples=16",
    "network.rpn.samples=32",
    "network.mask_head.channels=16",
    "network.mask_head.num_conv=1",
    "train.optimizer=sgd",
    "train.learning_rate=0.01",
    "train.warmup_steps=0",
    "train.epochs=2",
    "train.steps_per_epoch=2",
    "train.grad_accumulation_steps=2",
    "train.stages=[{trainable: heads, end_epoch: 1}, {trainable: 4+, end_epoch: 2}]",
    "augment.fixed_views=0",
    "augment.shift=0.1",
    "train.evaluate_every=2",
    "inference.score_threshold=0.2",
]

ONE_PROCESS_ON_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="several processes do not work on Windows")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "tiny"
    build_dataset(sample.folder(), out, ["Suit", "Dress", "Jeans"], BuildOptions(limit=5))
    return out


def fit_on_two(data: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """Starts the command line in another process, which starts a second one like itself."""
    command = [sys.executable, "-m", "clothseg", "fit", str(data), "--out", str(out), "--quiet", *options]
    command += ["--devices", "2"]
    known = {name: value for name, value in os.environ.items() if name not in ("LOCAL_RANK", "WORLD_SIZE")}
    return subprocess.Popen(
        command, env=known | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def settings(*more: str) -> list[str]:
    return [word for value in (*TINY, *more) for word in ("--set", value)]


@ONE_PROCESS_ON_WINDOWS
def test_two_processes_match_one_process_with_twice_the_batch(
    data: Path, tmp_path: Path, fresh_torch: FreshProcesses
) -> None:
    """With stages, accumulated gradients and an odd number of validation photos; then one process continues alone."""
    pair = fit_on_two(data, tmp_path / "two", *settings("train.batch_size=1"))
    words = ["fit", data, "--out", tmp_path / "one", "--quiet", *settings("train.batch_size=2")]
    alone = fresh_torch.run(words)
    assert alone.wait() == 0, alone.stderr
    out, stderr = pair.communicate(timeout=300)
    assert pair.returncode == 0, out + stderr
    one, two = (RunFolder(tmp_path / name) for name in ("one", "two"))
    rows = [read_history(run.history) for run in (one, two)]
    assert len(rows[0]) == len(rows[1]) == 2
    for mine, other in zip(*rows, strict=True):
        assert mine.keys() == other.keys()
        for name in mine.keys() - {"seconds"}:
            assert mine[name] == pytest.approx(other[name], abs=1e-4), name
    weights = [read_checkpoint(run.last).network for run in (one, two)]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], atol=1e-4, rtol=1e-3)
    assert "2 steps of 4 photos, on 2 devices (cpu)" in two.log.read_text()
    more = fresh_torch.run(["fit", data, "--out", two.path, "--quiet", "--more-epochs", 1, "--devices", 1])
    assert more.wait() == 0, more.stderr
    assert "2 steps of 4 photos, on cpu" in two.log.read_text()
    assert [row["epoch"] for row in read_history(two.history)] == [1, 2, 3]


@pytest.mark.parametrize("count", [0, 1, 4, 7])
def test_gather_returns_the_items_of_all_ranks_once_and_in_order(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = [DistributedContext(rank, 3) for rank in range(3)]
    items = list(range(count))
    parts = [rank.strided_shard(items) for rank in ranks]

    def gathered(answer: list[object], _: object) -> None:
        answer[:] = parts

    monkeypatch.setattr(torch.distributed, "all_gather_object", gathered)
    assert all(rank.gather(list(part)) == items for rank, part in zip(ranks, parts, strict=True))
    batch = list(range(6))
    assert [item for rank in ranks for item in rank.shard(batch)] == batch


def test_random_numbers_depend_on_the_position_in_the_whole_batch() -> None:
    one = DistributedContext().generators(torch.Generator().manual_seed(3), 4)
    two = [DistributedContext(rank, 2).generators(torch.Generator().manual_seed(3), 2) for rank in range(2)]
    draws, shared = ([torch.rand(3, generator=g).tolist() for g in all_] for all_ in (one, [*two[0], *two[1]]))
    assert draws == shared
    assert len({tuple(draw) for draw in draws}) == 4


@ONE_PROCESS_ON_WINDOWS
def test_more_devices_than_the_machine_has_are_refused() -> None:
    cores = usable_cores()
    have = f"{torch.cuda.device_count()} GPU" if torch.cuda.is_available() else f"{cores} cores for cpu"
    with pytest.raises(ConfigError, match=f"--devices 1000, but this machine has .*{have}"):
        world_size_for(1000, 1)
    assert world_size_for(None, 1) == 1


@pytest.mark.parametrize("started", [None, "2"])
def test_windows_has_one_process_only(started: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert world_size_for(1, 2) == 1
    if started:
        monkeypatch.setenv("LOCAL_RANK", "0")
        monkeypatch.setenv("WORLD_SIZE", started)
    with pytest.raises(ConfigError, match="Linux and macOS only"):
        world_size_for(None, 2)


@pytest.mark.parametrize("device", ["mps", "cuda:1"])
def test_one_device_is_not_shared_by_several_processes(device: str) -> None:
    with pytest.raises(ConfigError, match=f"2 devices: {device} is only one"):
        world_size_for(2, 1, torch.device(device))
    assert world_size_for(1, 1, torch.device(device)) == 1


@ONE_PROCESS_ON_WINDOWS
@pytest.mark.skipif(usable_cores() < 2, reason="this machine has one core")
def test_cpu_processes_are_counted_by_cores_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert world_size_for(2, 1, torch.device("cpu")) == 2
    with pytest.raises(ConfigError, match="this machine has 1 GPU"):
        world_size_for(2, 1, torch.device("cuda"))
