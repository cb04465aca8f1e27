"""The end of an epoch: figures, the best epoch, an early end; and what happens to bad input on the way."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from clothseg import sample
from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import DataError, PhotoError, RunError
from clothseg.evaluation import HEADLINES, evaluate_coco
from clothseg.models import MaskRCNN
from clothseg.networks import build_network
from clothseg.openimages import build_dataset
from clothseg.runs import RunFolder
from clothseg.training import check_photos, read_checkpoint, read_history
from clothseg.training.history import Row
from clothseg.training.run_log import RunLog
from clothseg.training.trainer import Training
from clothseg.training.validation import Judge

SMALL = [
    "weights=random",
    "picture.height=96",
    "picture.width=64",
    "pyramid.channels=16",
    "boxes.hidden=32",
    "mask.channels=16",
    "detect.max_detections=3",
    "detect.min_confidence=0",
    "train.epochs=3",
    "train.steps_per_epoch=2",
    "train.batch_size=2",
    "train.warmup_steps=1",
    "augment.copies=2",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "tiny"
    build_dataset(sample.folder(), out, ["Suit", "Dress", "Jeans"], limit=3, max_size=160)
    return out


def load(data: Path) -> tuple[CocoLikeDataset, CocoLikeDataset]:
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    return train, val


def model(*more: str) -> MaskRCNN:
    return MaskRCNN(Config.load("demo", [*SMALL, *more])).build(["Suit", "Dress", "Jeans"])


def test_figures_are_those_of_evaluate_with_the_averaged_weights(data: Path, tmp_path: Path) -> None:
    train, val = load(data)
    trained = model("train.evaluate_every=2", "train.average=0.5", "train.best=last", "train.epochs=5")
    trained.fit(train, val, tmp_path / "run", quiet=True)
    folder = RunFolder(tmp_path / "run")
    rows = read_history(folder.history)
    assert ["mask_AP" in row for row in rows] == [False, True, False, True, True]  # every second, and the last
    average = read_checkpoint(folder.last).average
    handed = load_file(folder.weights)
    assert all(torch.equal(handed[name], average[name]) for name in average)
    assert any(not torch.equal(tensor, read_checkpoint(folder.last).network[name]) for name, tensor in average.items())
    again = MaskRCNN.load(folder.path)  # the file, that is the average
    found = again.evaluate(val).overall
    for name in HEADLINES:
        assert rows[-1][name] == pytest.approx(found[name], abs=1e-9)
    assert "mask AP" in folder.log.read_text()


def test_the_truth_is_the_data_set_as_it_is_now(data: Path) -> None:
    """Photos that were taken out are not judged by; perfect detections are worth 1."""
    train, val = load(data)
    del val.images[1:]
    config = Config.load("demo", SMALL)
    network = build_network(config, 3)
    training = Training(network, train, val, config, RunFolder(data), RunLog(data / "log.txt", quiet=True))
    truth = training.judge.truth
    assert truth.photos == [val.images[0].id]
    perfect = [{**row, "score": 0.9} for row in truth.annotations if not row["iscrowd"]]
    assert evaluate_coco(truth.tree, perfect, resamples=0).overall["mask_AP"] == pytest.approx(1.0)
    (data / "log.txt").unlink(missing_ok=True)


def test_patience_ends_the_run_and_extend_goes_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Judged by planted figures: best in epoch 2, so that patience 2 ends the run after epoch 4."""
    planted = {1: 0.2, 2: 0.6, 3: 0.5, 4: 0.6, 5: 0.7}

    def look(judge: Judge, epoch: int, parts: int) -> Row:
        still = {
            name.replace("train", "val"): 1.0 for name in ("train_total", "train_class", "train_bbox", "train_mask")
        }
        return still | {"mask_AP": planted.get(epoch, 0.0)}

    monkeypatch.setattr(Judge, "look", look)
    train, val = load(data)
    more = ("train.evaluate_every=1", "train.best=mask_AP", "train.patience=2", "train.epochs=9")
    folder = RunFolder(tmp_path / "run")
    first = model(*more).fit(train, val, folder.path, quiet=True)
    assert len(read_history(folder.history)) == 4
    assert "mask_AP was best in epoch 2 (0.6000)" in folder.log.read_text()
    assert read_checkpoint(folder.best).step == 4
    handed = load_file(folder.weights)
    assert all(torch.equal(handed[k], v) for k, v in read_checkpoint(folder.best).network.items())

    before = folder.last.read_bytes()
    model(*more).fit(train, val, folder.path, resume=True, quiet=True)
    assert "nothing is left to do" in folder.log.read_text()
    assert folder.last.read_bytes() == before

    longer = MaskRCNN(first.config.extended(1, ended=4)).build(train.classes)
    longer.fit(train, val, folder.path, resume=True, quiet=True)
    assert [row["epoch"] for row in read_history(folder.history)] == [1, 2, 3, 4, 5]
    assert read_checkpoint(folder.best).step == 10


def test_a_photo_that_vanishes_is_told_and_nothing_is_lost(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    train, val = load(copy)
    settings = (
        "augment.copies=0",
        "train.average=0.9",
        "train.keep_features_mb=0",
        "train.keep_photos_mb=0",
        "train.workers=0",
    )
    model(*settings).fit(train, val, tmp_path / "whole", quiet=True)
    step = Training.step
    for gone, at in ((train.images[1].path, 5), (val.images[0].path, 4)):  # within epoch 3; at the end of epoch 2
        run, away = tmp_path / f"run{at}", tmp_path / "away"

        def vanish(training: Training, gone: Path = gone, away: Path = away, at: int = at) -> None:
            if training.state.step == at - 1 and gone.exists():
                gone.rename(away)
            step(training)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Training, "step", vanish)
            with pytest.raises((PhotoError, DataError), match=rf"{gone.name}(.|\n)*--resume"):
                model(*settings).fit(train, val, run, quiet=True)
        saved = read_checkpoint(RunFolder(run).last)
        assert saved.step >= 4 and len(saved.rows) >= 1
        away.rename(gone)
        model(*settings).fit(train, val, run, resume=True, quiet=True)
        one, other = (read_history(RunFolder(tmp_path / name).history) for name in ("whole", run.name))
        assert [row | {"seconds": 0} for row in one] == [row | {"seconds": 0} for row in other]
        ended, again = (load_file(RunFolder(tmp_path / name).weights) for name in ("whole", run.name))
        assert all(torch.equal(ended[name], again[name]) for name in ended)


def test_another_configuration_is_refused_with_its_differences(data: Path, tmp_path: Path) -> None:
    train, val = load(data)
    model("train.epochs=1").fit(train, val, tmp_path / "run", quiet=True)
    kept = RunFolder(tmp_path / "run").config.read_text()
    other = model("train.epochs=2", "train.momentum=0.5", "boxes.hidden=64")
    with pytest.raises(RunError, match=r"boxes.hidden: 32 in the run, 64 now\n  train.momentum: 0.9 in the run, 0.5"):
        other.fit(train, val, tmp_path / "run", resume=True, quiet=True)
    assert RunFolder(tmp_path / "run").config.read_text() == kept


def test_other_classes_are_refused_on_resume_even_by_force(data: Path, tmp_path: Path) -> None:
    train, val = load(data)
    model("train.epochs=1").fit(train, val, tmp_path / "run", quiet=True)
    for dataset in (train, val):
        dataset.class_names[2] = "Frock"
    with pytest.raises(RunError, match=r"Dress.*Frock.*--start-from"):
        model("train.epochs=2").fit(train, val, tmp_path / "run", resume=True, force=True, quiet=True)


def test_data_that_cannot_be_learned_from_is_refused(data: Path, tmp_path: Path) -> None:
    config = Config.load("demo", SMALL)
    train, val = load(data)
    other = CocoLikeDataset()
    other.add_class("coco", 1, "Suit")
    other.images = val.images
    with pytest.raises(DataError, match="same categories"):
        check_photos(train, other.prepare(), config)
    train.images = [replace(entry, annotations=[]) for entry in train.images]
    with pytest.raises(DataError, match=r"train.json: not one instance is left on its 3 photos"):
        model().fit(train, val, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("copies", [0, 2])
def test_a_batch_of_negatives_teaches_what_background_is(copies: int, data: Path, tmp_path: Path) -> None:
    train, val = load(data)
    train.images[1:] = [replace(entry, annotations=[]) for entry in train.images[1:]]
    config = Config.load("demo", [*SMALL, f"augment.copies={copies}"])
    network = build_network(config, 3)
    training = Training(network, train, val, config, RunFolder(tmp_path), RunLog(tmp_path / "log.txt", quiet=True))
    training.sampler.waiting = [1, 2]
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    training.step()
    sums = training.state.sums
    assert sums["bbox"] == sums["mask"] == sums["rpn_bbox"] == 0
    assert sums["class"] > 0 and sums["rpn_class"] > 0
    changed = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
    assert any(name.startswith("rpn") for name in changed)
    assert all(torch.isfinite(p).all() for p in network.parameters())


def test_a_run_that_cannot_be_written_is_told(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, val = load(data)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RunError, match="cannot be written"):
        model().fit(train, val, tmp_path / "file" / "run", quiet=True)

    run = tmp_path / "run"
    model("train.epochs=1").fit(train, val, run, quiet=True)
    kept = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    def read_only(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", read_only)
    with pytest.raises(RunError, match=r"cannot be written.*Permission denied"):
        model("train.epochs=2").fit(train, val, run, resume=True, quiet=True)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == kept
