"""Training on two photos: losses fall, kept features change nothing, a stopped run goes on as if nothing had been."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from clothseg import sample
from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import ClothsegError, InterruptedRun, RunError
from clothseg.models import MaskRCNN
from clothseg.networks import build_network
from clothseg.openimages import build_dataset
from clothseg.runs import RunFolder
from clothseg.training import COLUMNS, Examples, read_checkpoint, read_history
from clothseg.training.loop import _Training, rate_factor

SMALL = [
    "picture.height=96",
    "picture.width=64",
    "pyramid.channels=32",
    "boxes.hidden=64",
    "mask.channels=32",
    "train.epochs=2",
    "train.steps_per_epoch=3",
    "train.batch_size=2",
    "train.warmup_steps=1",
    "augment.copies=2",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "tiny"
    build_dataset(sample.folder(), out, ["Suit", "Dress", "Jeans"], limit=3)
    return out


def load(data: Path) -> tuple[CocoLikeDataset, CocoLikeDataset]:
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    return train, val


def test_kept_features_give_the_same_losses(data: Path) -> None:
    config = Config.load("demo", SMALL)
    train, _ = load(data)
    network = build_network(config, 3)
    batch = [(0, 0), (2, 1)]
    answers = []
    for keep in (True, False):
        examples = Examples(network, train, config, augmented=True)
        assert examples.keeps
        examples.keeps = keep
        network.generator.manual_seed(3)
        answers.append(examples.losses(batch))
        assert len(examples.kept) == (2 if keep else 0)
    for name, kept in answers[0].items():
        torch.testing.assert_close(kept, answers[1][name], atol=1e-6, rtol=1e-5)


def test_a_stopped_run_goes_on_exactly(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.load("demo", SMALL)
    train, val = load(data)
    MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "whole", quiet=True)

    step, calls = _Training.step, []

    def stop_at_the_fifth(training: _Training) -> None:
        calls.append(training)
        if len(calls) == 5:
            raise KeyboardInterrupt
        step(training)

    monkeypatch.setattr(_Training, "step", stop_at_the_fifth)
    with pytest.raises(InterruptedRun, match="--resume"):
        MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "parts", quiet=True)
    monkeypatch.undo()
    assert read_checkpoint(tmp_path / "parts" / "checkpoints" / "last.pt").step == 4
    MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "parts", resume=True, quiet=True)

    whole, parts = (read_history(tmp_path / name / "history.csv") for name in ("whole", "parts"))
    assert set(whole[0]) == set(COLUMNS)
    for one, other in zip(whole, parts, strict=True):
        assert one | {"seconds": 0} == other | {"seconds": 0}
    left, right = (read_checkpoint(tmp_path / n / "checkpoints" / "last.pt").network for n in ("whole", "parts"))
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_run_can_be_loaded_and_predicts(data: Path, tmp_path: Path) -> None:
    config = Config.load("demo", SMALL)
    train, val = load(data)
    model = MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "run", quiet=True)
    folder = RunFolder(tmp_path / "run")
    with Image.open(folder.curves) as curves:
        assert curves.size[0] > 1000
    log = folder.log.read_text().splitlines()
    assert "2 epochs of 3 steps of 2 photos" in log[0]
    assert [line.split()[2:6] for line in log[1:]] == [["epoch", str(n), "of", "2:"] for n in (1, 2)]
    again = MaskRCNN.load(tmp_path / "run")
    assert again.classes == ["Suit", "Dress", "Jeans"]
    one, other = (m.predict(train.images[0].path) for m in (model, again))
    assert torch.equal(one.boxes, other.boxes)
    assert torch.equal(one.masks.pixels(), other.masks.pixels())


def test_nothing_of_a_replaced_run_stays(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.load("demo", SMALL)
    train, val = load(data)
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    for old in ("weights.safetensors", "checkpoints/best.pt", "metrics.json", "history.csv", "mine.txt"):
        (run / old).write_text("old")
    model = MaskRCNN(config).build(train.classes)
    with pytest.raises(ClothsegError, match="exists already"):
        model.fit(train, val, run, quiet=True)
    assert (run / "weights.safetensors").read_text() == "old"

    def stop(_: _Training) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_Training, "step", stop)
    with pytest.raises(InterruptedRun, match="--resume"):
        model.fit(train, val, run, overwrite=True, quiet=True)
    left = {str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()}
    assert left == {"config.yaml", "checkpoints/last.pt", "log.txt", "mine.txt"}


def test_one_photo_is_learned(data: Path, tmp_path: Path) -> None:
    config = Config.load("demo", [*SMALL, "augment.copies=1", "train.epochs=1", "train.steps_per_epoch=40"])
    train, val = load(data)
    train.images = train.images[:1]
    network = build_network(config, 3)
    training = _Training(network, train, val, config, RunFolder(tmp_path))
    totals = []
    for _ in range(40):
        before = training.state.sums.get("total", 0.0)
        training.step()
        totals.append(training.state.sums["total"] - before)
    assert sum(totals[-5:]) < 0.5 * sum(totals[:5])


def test_a_damaged_checkpoint_is_told(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"damaged")
    with pytest.raises(RunError, match=r"last\.pt"):
        read_checkpoint(tmp_path / "last.pt")


def test_the_rate_warms_up_and_ends_at_nothing() -> None:
    settings = Config.load("demo", ["train.warmup_steps=10"]).train
    assert rate_factor(0, settings, 100) == pytest.approx(0.1)
    assert rate_factor(10, settings, 100) == 1.0
    assert rate_factor(55, settings, 100) == pytest.approx(0.5)
    assert rate_factor(100, settings, 100) == pytest.approx(0.0)
