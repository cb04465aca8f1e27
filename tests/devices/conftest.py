"""Shared by the tests of devices: small settings, and three photos each for training and validation."""

from pathlib import Path

import pytest
from tiny_network import TINY_NETWORK

from clothseg import sample
from clothseg.dataset import CocoLikeDataset
from clothseg.openimages import BuildOptions, build_dataset

SMALL = [
    *TINY_NETWORK,
    "train.epochs=2",
    "train.steps_per_epoch=2",
    "train.batch_size=2",
    "train.warmup_steps=1",
    "train.evaluate_every=2",
    "train.feature_cache_mb=100",
]
Photos = tuple[CocoLikeDataset, CocoLikeDataset]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "small"
    build_dataset(sample.folder(), out, ["Suit", "Dress", "Jeans"], BuildOptions(limit=3, max_size=160))
    return out


@pytest.fixture
def photos(data: Path) -> Photos:
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    return train, val


@pytest.fixture
def small() -> list[str]:
    """Settings of a small network and a short training, for the preset `demo`."""
    return list(SMALL)
