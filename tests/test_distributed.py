"""Several processes learn as one process with all their photos does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from clothseg import sample
from clothseg.config import Config
from clothseg.errors import ConfigError
from clothseg.networks.share import Share
from clothseg.openimages import build_dataset
from clothseg.processes import processes_wanted
from clothseg.runs import RunFolder
from clothseg.training import batch_of_each, read_checkpoint, read_history
from clothseg.training.team import Team

TINY = [
    "picture.height=96",
    "picture.width=64",
    "pyramid.channels=16",
    "boxes.hidden=32",
    "boxes.samples=16",
    "rpn.samples=32",
    "mask.channels=16",
    "mask.convolutions=1",
    "train.optimizer=sgd",
    "train.learning_rate=0.01",
    "train.warmup_steps=0",
    "train.epochs=2",
    "train.steps_per_epoch=2",
    "train.accumulate=2",
    "train.stages=[{layers: heads, until: 1}, {layers: 4+, until: 2}]",
    "augment.copies=0",
    "augment.shift=0.1",
    "train.evaluate_every=2",
    "detect.min_confidence=0.2",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "tiny"
    build_dataset(sample.folder(), out, ["Suit", "Dress", "Jeans"], limit=5)
    return out


def fit(data: Path, out: Path, *words: str) -> subprocess.Popen[str]:
    """The command line, as a process of its own."""
    command = [sys.executable, "-m", "clothseg", "fit", str(data), "--out", str(out), "--quiet", *words]
    known = {name: value for name, value in os.environ.items() if name not in ("LOCAL_RANK", "WORLD_SIZE")}
    return subprocess.Popen(
        command, env=known | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    out, said = process.communicate(timeout=300)
    assert process.returncode == code, out + said
    return said


def settings(*more: str) -> list[str]:
    return [word for value in (*TINY, *more) for word in ("--set", value)]


def test_two_processes_learn_like_one_with_the_doubled_batch(data: Path, tmp_path: Path) -> None:
    """Stages, gradients of several batches, validation photos that cannot be halved; then one process goes on alone."""
    both = [
        fit(data, tmp_path / "two", "--devices", "2", *settings("train.batch_size=1")),
        fit(data, tmp_path / "one", *settings("train.batch_size=2")),
    ]
    for process in both:
        finish(process)
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
    finish(fit(data, two.path, "--extend", "1", "--devices", "1"))
    assert "2 steps of 4 photos, on cpu" in two.log.read_text()
    assert [row["epoch"] for row in read_history(two.history)] == [1, 2, 3]


@pytest.mark.parametrize("count", [0, 1, 4, 7])
def test_what_processes_did_comes_back_in_order_and_once(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    teams = [Team(Fabric(accelerator="cpu", devices=1)) for _ in range(3)]
    for rank, team in enumerate(teams):
        team.share = Share(rank, 3)
    things = list(range(count))
    parts = [team.every(things) for team in teams]

    def gathered(answer: list[object], _: object) -> None:
        answer[:] = parts

    monkeypatch.setattr(torch.distributed, "all_gather_object", gathered)
    assert all(team.gather(part) == things for team, part in zip(teams, parts, strict=True))
    batch = list(range(6))
    assert [thing for team in teams for thing in team.own(batch)] == batch


def test_more_devices_than_there_are() -> None:
    cores = len(os.sched_getaffinity(0))
    have = f"{torch.cuda.device_count()} GPU" if torch.cuda.is_available() else f"{cores} cores"
    with pytest.raises(ConfigError, match=f"--devices 1000, but this machine has .*{have}"):
        processes_wanted(1000, 1)
    assert processes_wanted(None, 1) == 1


def test_a_batch_that_cannot_be_shared() -> None:
    config = Config.load("demo", ["train.batch_size=1", "train.devices=4"])
    assert [batch_of_each(config, n) for n in (1, 2, 4)] == [4, 2, 1]
    with pytest.raises(ConfigError, match="4 photos at once, which 3 devices cannot share"):
        batch_of_each(config, 3)
