"""Data, settings and classes with which a training cannot start or resume."""

from dataclasses import replace
from pathlib import Path

import pytest

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import ConfigError, DataError, RunError
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder
from clothseg.training import batch_per_rank, check_datasets

from .conftest import CLASSES, SMALL, TINY, Photos


def model(*more: str) -> MaskRCNN:
    return MaskRCNN(Config.load("demo", [*TINY, *more])).build(CLASSES)


def test_a_batch_larger_than_the_data_set_is_refused(photos: Photos, tmp_path: Path) -> None:
    train, val = photos
    large = MaskRCNN(Config.load("demo", [*SMALL, "train.batch_size=100000"])).build(train.classes)
    with pytest.raises(DataError, match="100000, but there are only 3 photos"):
        large.fit(train, val, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_missing_photos_are_reported_before_the_first_step(photos: Photos, tmp_path: Path) -> None:
    train, val = photos
    train.images[1] = replace(train.images[1], path=tmp_path / "gone.jpg")
    check_datasets(train, val, Config.load("demo", TINY))  # one may be lost
    train.images[2] = replace(train.images[2], path=tmp_path / "lost.jpg")
    with pytest.raises(DataError, match=r"2 of its 3 photos are missing, the first is .*gone\.jpg; restore them"):
        MaskRCNN(Config.load("demo", SMALL)).build(train.classes).fit(train, val, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_data_without_instances_is_refused(small_photos: Photos, tmp_path: Path) -> None:
    config = Config.load("demo", TINY)
    train, val = small_photos
    other = CocoLikeDataset()
    other.add_class("coco", 1, "Suit")
    other.images = val.images
    with pytest.raises(DataError, match="same categories"):
        check_datasets(train, other.prepare(), config)
    train.images = [replace(entry, annotations=[]) for entry in train.images]
    with pytest.raises(DataError, match=r"train.json: no instance on its 3 photos"):
        model().fit(train, val, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_another_data_set_is_refused_unless_forced(photos: Photos, tmp_path: Path) -> None:
    config = Config.load("demo", SMALL)
    train, val = photos
    MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "run", quiet=True)
    train.images[0].annotations.pop()
    again = MaskRCNN(config).build(train.classes)
    with pytest.raises(RunError, match="--force"):
        again.fit(train, val, tmp_path / "run", resume=True, quiet=True)
    again.fit(train, val, tmp_path / "run", resume=True, force=True, quiet=True)
    assert "because of --force" in RunFolder(tmp_path / "run").log.read_text()


def test_another_configuration_is_refused_and_its_differences_are_listed(small_photos: Photos, tmp_path: Path) -> None:
    train, val = small_photos
    model("train.epochs=1").fit(train, val, tmp_path / "run", quiet=True)
    before = RunFolder(tmp_path / "run").config.read_text()
    other = model("train.epochs=2", "train.momentum=0.5", "network.box_head.fc_dim=64")
    with pytest.raises(
        RunError, match=r"network.box_head.fc_dim: 32 in the run, 64 now\n  train.momentum: 0.9 in the run, 0.5"
    ):
        other.fit(train, val, tmp_path / "run", resume=True, quiet=True)
    assert RunFolder(tmp_path / "run").config.read_text() == before


def test_other_classes_are_refused_even_with_force(small_photos: Photos, tmp_path: Path) -> None:
    train, val = small_photos
    model("train.epochs=1").fit(train, val, tmp_path / "run", quiet=True)
    for dataset in (train, val):
        dataset.class_names[2] = "Frock"
    with pytest.raises(RunError, match=r"Dress.*Frock.*--weights"):
        model("train.epochs=2").fit(train, val, tmp_path / "run", resume=True, force=True, quiet=True)


def test_a_batch_that_does_not_divide_by_the_ranks_is_refused() -> None:
    config = Config.load("demo", ["train.batch_size=1", "train.devices=4"])
    assert [batch_per_rank(config, n) for n in (1, 2, 4)] == [4, 2, 1]
    with pytest.raises(ConfigError, match="4 photos at once, which 3 devices cannot share"):
        batch_per_rank(config, 3)
