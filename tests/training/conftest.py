"""Shared by the tests of training: settings of small networks, and three photos each for training and validation."""

import signal
from pathlib import Path

import pytest
from tiny_network import TINY_NETWORK

from clothseg import sample
from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.networks import build_network
from clothseg.openimages import BuildOptions, build_dataset
from clothseg.runs import RunFolder
from clothseg.training import HistoryRow
from clothseg.training.run_log import RunLog
from clothseg.training.trainer import Trainer

LOSSES = tuple(Config().network.weight_by_loss)
CLASSES = ["Suit", "Dress", "Jeans"]
SMALL_NETWORK = [
    "input.height=96",
    "input.width=64",
    "network.fpn.channels=32",
    "network.box_head.fc_dim=64",
    "network.mask_head.channels=32",
]
SMALL = [
    *SMALL_NETWORK,
    "backbone.name=timm/test_efficientnet",  # one block for each stage
    "train.epochs=2",
    "train.steps_per_epoch=3",
    "train.batch_size=2",
    "train.warmup_steps=1",
    "augment.fixed_views=2",
]
TINY = [
    *TINY_NETWORK,
    "train.epochs=3",
    "train.steps_per_epoch=2",
    "train.batch_size=2",
    "train.warmup_steps=1",
    "augment.fixed_views=2",
]
TWO_STAGES = "train.stages=[{trainable: heads, end_epoch: 1}, {trainable: 4+, end_epoch: 2, learning_rate: 0.0005}]"
FALLS = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
"""A training loss over seven epochs."""

Photos = tuple[CocoLikeDataset, CocoLikeDataset]
"""The training photos and the validation photos."""


def load(data: Path) -> Photos:
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    return train, val


def make_trainer(config: Config, photos: Photos, folder: Path) -> Trainer:
    """A trainer before its first step, with random weights."""
    network = build_network(config, len(CLASSES))
    return Trainer(network, *photos, config, RunFolder(folder), RunLog(folder / "log.txt", quiet=True))


def interrupt(monkeypatch: pytest.MonkeyPatch, before: int) -> None:
    """Ctrl-C before the step of this number, counted from 1."""
    step, calls = Trainer.step, []

    def step_with_ctrl_c(trainer: Trainer) -> None:
        calls.append(trainer)
        if len(calls) == before:
            signal.raise_signal(signal.SIGINT)
        step(trainer)

    monkeypatch.setattr(Trainer, "step", step_with_ctrl_c)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "tiny"
    build_dataset(sample.folder(), out, CLASSES, BuildOptions(limit=3))
    return out


@pytest.fixture
def photos(data: Path) -> Photos:
    return load(data)


@pytest.fixture(scope="module")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("small") / "tiny"
    build_dataset(sample.folder(), out, CLASSES, BuildOptions(limit=3, max_size=160))
    return out


@pytest.fixture
def small_photos(small_data: Path) -> Photos:
    return load(small_data)


def loss_history(val: list[float], train: list[float], name: str = "mask") -> list[HistoryRow]:
    """Rows of epochs 1, 2, ... in which one loss has the given values, and all others are constant."""
    constant = {f"{split}_{loss}": 1.0 for split in ("train", "val") for loss in ("total", *LOSSES)}
    return [
        constant | {"epoch": n, f"val_{name}": v, f"train_{name}": t}
        for n, (v, t) in enumerate(zip(val, train, strict=True), 1)
    ]
