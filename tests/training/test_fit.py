"""Training on two photos: losses fall, kept features change nothing, a stopped run goes on as if nothing had been."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import ClothsegError, ConfigError, DataError, InterruptedRun, RunError, SpoiledRun
from clothseg.evaluation import HEADLINES
from clothseg.instances import Instances
from clothseg.models import MaskRCNN
from clothseg.networks import build_network
from clothseg.runs import RunFolder
from clothseg.training import COLUMNS, Examples, read_checkpoint, read_history
from clothseg.training.ema import WeightAverage
from clothseg.training.optimizer import make_optimizer, rate_factor
from clothseg.training.run_log import RunLog
from clothseg.training.run_summary import without_objects
from clothseg.training.trainer import Training

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


def load(data: Path) -> tuple[CocoLikeDataset, CocoLikeDataset]:
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    return train, val


def assert_same_runs(one: Path, other: Path) -> None:
    """Histories (but for the time) and everything in the last checkpoints are equal, bit for bit."""
    left, right = (read_history(run / "history.csv") for run in (one, other))
    assert set(left[0]) == set(COLUMNS) - set(HEADLINES)
    assert [row | {"seconds": 0} for row in left] == [row | {"seconds": 0} for row in right]
    first, second = (read_checkpoint(RunFolder(run).last) for run in (one, other))
    assert first.step == second.step
    for a, b in ((first.network, second.network), (first.average, second.average)):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)


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

    step, calls = Training.step, []

    def ctrl_c_in_the_fourth(training: Training) -> None:
        calls.append(training)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGINT)
        step(training)

    monkeypatch.setattr(Training, "step", ctrl_c_in_the_fourth)
    with pytest.raises(InterruptedRun, match="--resume"):
        MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "parts", quiet=True)
    monkeypatch.undo()
    assert read_checkpoint(tmp_path / "parts" / "checkpoints" / "last.pt").step == 4
    MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "parts", resume=True, quiet=True)

    assert_same_runs(tmp_path / "whole", tmp_path / "parts")


def test_a_run_can_be_loaded_and_predicts(data: Path, tmp_path: Path) -> None:
    config = Config.load("demo", SMALL)
    train, val = load(data)
    model = MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "run", quiet=True)
    folder = RunFolder(tmp_path / "run")
    with Image.open(folder.curves) as curves:
        assert curves.size[0] > 1000
    log = folder.log.read_text().splitlines()
    said = [line.split()[2] for line in log[:6]]
    assert said == ["network", "weights", "photos", "steps", "anchors", "memory"]
    assert "2 epochs of 3 steps of 2 photos" in log[3]
    assert [line.split()[2:6] for line in log[6:]] == [["epoch", str(n), "of", "2:"] for n in (1, 2)]
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

    step = Training.step

    def stop(training: Training) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        step(training)

    monkeypatch.setattr(Training, "step", stop)
    with pytest.raises(InterruptedRun, match="--resume"):
        model.fit(train, val, run, overwrite=True, quiet=True)
    left = {str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()}
    assert left == {"config.yaml", "checkpoints/last.pt", "log.txt", "run.json", "mine.txt"}


def test_one_photo_is_learned(data: Path, tmp_path: Path) -> None:
    config = Config.load("demo", [*SMALL, "augment.copies=1", "train.epochs=1", "train.steps_per_epoch=40"])
    train, val = load(data)
    train.images = train.images[:1]
    network = build_network(config, 3)
    training = Training(network, train, val, config, RunFolder(tmp_path), RunLog(tmp_path / "log.txt", quiet=True))
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


STAGES = "train.stages=[{layers: heads, until: 1}, {layers: 4+, until: 2, learning_rate: 0.0005}]"


@pytest.mark.parametrize(("died_in", "stages"), [(5, []), (6, []), (5, [STAGES])])
def test_a_killed_run_goes_on_exactly(
    died_in: int, stages: list[str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ["train.save_every=2", "train.average=0.9", "train.accumulate=2", *stages]
    config = Config.load("demo", [*SMALL, *more])
    train, val = load(data)
    MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "whole", quiet=True)

    class KilledError(BaseException):
        """What nobody catches."""

    step = Training.step

    def die(training: Training) -> None:
        step(training)
        if training.state.step == died_in:
            raise KilledError

    monkeypatch.setattr(Training, "step", die)
    with pytest.raises(KilledError):
        MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "parts", quiet=True)
    monkeypatch.undo()
    assert read_checkpoint(RunFolder(tmp_path / "parts").last).step == 4
    MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "parts", resume=True, quiet=True)
    assert_same_runs(tmp_path / "whole", tmp_path / "parts")


def test_a_damaged_last_checkpoint_falls_back(data: Path, tmp_path: Path) -> None:
    config = Config.load("demo", SMALL)
    train, val = load(data)
    for run in ("whole", "parts"):
        MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / run, quiet=True)
    folder = RunFolder(tmp_path / "parts")
    content = bytearray(folder.last.read_bytes())
    content[len(content) // 2] ^= 255  # one wrong byte among the weights
    folder.last.write_bytes(content)
    MaskRCNN(config).build(train.classes).fit(train, val, folder.path, resume=True, quiet=True)
    assert "damaged" in folder.log.read_text()
    assert "going on from the one before, at step 3" in folder.log.read_text()
    assert_same_runs(tmp_path / "whole", folder.path)


def test_another_data_set_is_told(data: Path, tmp_path: Path) -> None:
    config = Config.load("demo", SMALL)
    train, val = load(data)
    MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "run", quiet=True)
    train.images[0].annotations.pop()
    model = MaskRCNN(config).build(train.classes)
    with pytest.raises(RunError, match="--force"):
        model.fit(train, val, tmp_path / "run", resume=True, quiet=True)
    model.fit(train, val, tmp_path / "run", resume=True, force=True, quiet=True)
    assert "by force" in RunFolder(tmp_path / "run").log.read_text()


def test_a_batch_larger_than_the_data_set_is_refused(data: Path, tmp_path: Path) -> None:
    train, val = load(data)
    model = MaskRCNN(Config.load("demo", [*SMALL, "train.batch_size=100000"])).build(train.classes)
    with pytest.raises(DataError, match="100000, but there are only 3 photos"):
        model.fit(train, val, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_full_disk_leaves_the_last_good_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.load("demo", [*SMALL, "train.save_every=1"])
    train, val = load(data)
    save, calls = torch.save, []

    def full(*words: Any) -> None:
        calls.append(words)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        save(*words)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match=r"No space left.*Make room.*--resume"):
        MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "run", quiet=True)
    folder = RunFolder(tmp_path / "run")
    assert read_checkpoint(folder.last).step == 2
    assert not [p for p in folder.last.parent.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("on_nan", ["stop", "skip"])
def test_a_planted_nan_is_traced_to_its_photo(
    on_nan: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.load("demo", [*SMALL, f"train.on_nan={on_nan}", "train.epochs=1"])
    train, val = load(data)
    load_example = Examples.load
    before: dict[str, torch.Tensor] = {}
    model = MaskRCNN(config).build(train.classes)
    network = model.network
    assert network is not None

    def poisoned(examples: Examples, position: int, version: int) -> tuple[torch.Tensor, Instances]:
        image, truth = load_example(examples, position, version)
        if examples.dataset is train and position == 1:
            image = image * torch.nan
            before.update({name: tensor.clone() for name, tensor in network.state_dict().items()} if not before else {})
        return image, truth

    monkeypatch.setattr(Examples, "load", poisoned)
    folder = RunFolder(tmp_path / "run")
    if on_nan == "stop":
        with pytest.raises(RunError, match="learning rate") as caught:
            model.fit(train, val, folder.path, quiet=True)
        assert train.images[1].path.name in str(caught.value)
        assert not any(train.images[n].path.name in str(caught.value) for n in (0, 2))
        assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    else:
        model.fit(train, val, folder.path, quiet=True)
        assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())
        assert read_history(folder.history)[-1]["step"] == 3
    facts = json.loads(min(folder.faults.glob("*.json")).read_text())
    assert [s["image_id"] for s in facts["suspects"]] == [train.images[1].id]
    assert facts["suspects"][0]["annotations"] == [a["id"] for a in train.images[1].annotations]
    with Image.open(folder.faults / facts["suspects"][0]["picture"]) as picture:
        assert picture.size == (train.images[1].width, train.images[1].height)


def test_photos_that_are_gone_are_told_before_the_first_step(data: Path, tmp_path: Path) -> None:
    train, val = load(data)
    train.images[1] = replace(train.images[1], path=tmp_path / "gone.jpg")
    with pytest.raises(DataError, match=r"1 of its 3 photos are not there, the first is .*gone\.jpg; put them back"):
        MaskRCNN(Config.load("demo", SMALL)).build(train.classes).fit(train, val, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_class_without_objects_is_told(data: Path) -> None:
    train, _ = load(data)
    assert without_objects(train) == "; NOT one object to learn from: Dress"
    annotation = train.images[0].annotations[0]
    train.images[0].annotations.append(annotation | {"category_id": train.source_class_id(2)})
    assert without_objects(train) == ""


def test_a_network_that_diverges_is_told_from_a_bad_photo(data: Path, tmp_path: Path) -> None:
    """At a hopeless rate the losses run away within some steps; nothing of that is kept."""
    hopeless = ["train.learning_rate=1e6", "train.optimizer=sgd", "train.clip_gradients=null", "train.warmup_steps=0"]
    config = Config.load("demo", [*SMALL, *hopeless, "train.epochs=9", "train.steps_per_epoch=9", "train.on_nan=skip"])
    train, val = load(data)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(SpoiledRun, match=r"no photo is to blame.*begin again.*smaller train\.learning_rate") as caught:
        MaskRCNN(config).build(train.classes).fit(train, val, folder.path, quiet=True)
    assert "go on with" not in str(caught.value)
    (facts,) = (json.loads(path.read_text()) for path in folder.faults.glob("*.json"))
    assert facts["suspects"] == []
    assert not folder.last.exists()


@pytest.mark.parametrize("on_nan", ["stop", "skip"])
def test_a_gradient_that_is_not_finite_touches_no_weight(on_nan: str, data: Path, tmp_path: Path) -> None:
    """The losses are well, what comes back from them is not."""
    config = Config.load("demo", [*SMALL, f"train.on_nan={on_nan}", "train.epochs=1"])
    train, val = load(data)
    model = MaskRCNN(config).build(train.classes)
    assert model.network is not None
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    weight = next(p for p in model.network.parameters() if p.requires_grad)
    weight.register_hook(lambda gradient: gradient * torch.inf)  # type: ignore[no-untyped-call]
    folder = RunFolder(tmp_path / "run")
    if on_nan == "stop":
        with pytest.raises(RunError, match=r"step 0: the gradient is not finite at learning rate"):
            model.fit(train, val, folder.path, quiet=True)
    else:
        with pytest.raises(RunError, match=r"not one step up to 3 gave finite"):
            model.fit(train, val, folder.path, quiet=True)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.network.state_dict().items())


def test_stages_train_what_they_say(data: Path, tmp_path: Path) -> None:
    config = Config.load("demo", [*SMALL, "train.epochs=3", STAGES.replace("]", ", {layers: all, until: 3}]")])
    train, val = load(data)
    network = build_network(config, 3)
    log = RunLog(tmp_path / "log.txt", quiet=True)
    training = Training(network, train, val, config, RunFolder(tmp_path), log)
    moved = []
    for _ in range(3):
        before = {name: p.detach().clone() for name, p in network.named_parameters()}
        for _ in range(training.per_epoch):
            training.step()
        changed = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
        moved.append({name.split(".")[2] if name.startswith("backbone") else "heads" for name in changed})
        moved[-1] |= {
            f"block{name.split('.')[3]}" for name in changed if name.startswith("backbone") and ".blocks." in name
        }
    assert moved[0] == {"heads"}
    assert moved[1] == {"heads", "blocks", "block3", "block4", "block5", "block6"}
    assert moved[2] >= {"conv_stem", "block0", "block1", "block2"}
    steps = {name: int(training.optimizer.state[p]["step"]) for name, p in network.named_parameters()}
    assert steps["box_head.score.weight"] == 9  # what a weight's running means have seen survives a stage
    assert steps["backbone.model.blocks.6.0.conv_pw.weight"] == 6
    assert steps["backbone.model.conv_stem.weight"] == 3
    rates = [group["lr"] for group in training.optimizer.param_groups]
    assert max(rates) <= config.train.learning_rate
    assert [span.rate for span in training.spans] == [0.001, 0.0005, 0.001]


def test_a_finished_run_is_extended_and_another_starts_from_it(data: Path, tmp_path: Path) -> None:
    config = Config.load("demo", SMALL)
    train, val = load(data)
    first = RunFolder(tmp_path / "first")
    MaskRCNN(config).build(train.classes).fit(train, val, first.path, quiet=True)
    before = first.history.read_text()
    longer = config.extended(2)
    MaskRCNN(longer).build(train.classes).fit(train, val, first.path, resume=True, quiet=True)
    assert first.history.read_text().startswith(before)
    rows = read_history(first.history)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[2]["learning_rate"] > rows[1]["learning_rate"]  # the new epochs have a schedule of their own
    assert Config.load(first.config) == longer
    model = MaskRCNN(config).build(train.classes).load_weights(first.path)
    assert model.network is not None
    ended = read_checkpoint(first.last).network
    assert all(torch.equal(ended[name], tensor) for name, tensor in model.network.state_dict().items())


def test_stages_that_do_not_add_up() -> None:
    for ends in ("[{layers: heads, until: 3}]", "[{layers: heads, until: 2}, {layers: all, until: 2}]"):
        with pytest.raises(ConfigError, match="stages end after epochs"):
            Config.load("demo", ["train.epochs=2", f"train.stages={ends}"])


def test_the_average_by_hand() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        average = WeightAverage(layer, decay=0.5)
        layer.weight.fill_(3.0)
        average.update(layer, 1)  # keeps 2/11, since that is less than a half
        assert float(average.weights["weight"]) == pytest.approx(3 - 2 * 2 / 11)
        layer.weight.fill_(5.0)
        average.update(layer, 100)  # keeps a half
    expected = (3 - 4 / 11) / 2 + 2.5
    with average.applied(layer):
        assert layer.weight.item() == pytest.approx(expected)
    assert layer.weight.item() == 5.0


def test_norms_and_biases_do_not_decay() -> None:
    network = build_network(Config.load("demo", [*SMALL, "train.weight_decay=0.1"]), 3)
    settings = Config.load("demo", ["train.weight_decay=0.1"]).train
    optimizer = make_optimizer(network, settings, settings.learning_rate)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    assert decay.keys() == {id(p) for p in trained.values()}
    for name, parameter in trained.items():
        assert decay[id(parameter)] == (0.0 if name.endswith("bias") or parameter.dim() == 1 else 0.1)
        assert rates[id(parameter)] == pytest.approx(3e-4 if name.startswith("backbone.") else 1e-3)


def test_the_rate_warms_up_and_ends_at_nothing() -> None:
    settings = Config.load("demo", ["train.warmup_steps=10"]).train
    assert rate_factor(0, settings, 100) == pytest.approx(0.1)
    assert rate_factor(10, settings, 100) == 1.0
    assert rate_factor(55, settings, 100) == pytest.approx(0.5)
    assert rate_factor(100, settings, 100) == pytest.approx(0.0)
