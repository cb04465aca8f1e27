"""Whole runs: stopped and killed runs resume exactly; files of a run; loading and extending a run."""

import re
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from clothseg.config import HEADLINE_METRICS, Config
from clothseg.errors import ClothsegError, InterruptedRun, RunError
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder
from clothseg.training import history_columns, read_checkpoint, read_history
from clothseg.training.trainer import Trainer

from .conftest import CLASSES, LOSSES, SMALL, TINY, TWO_STAGES, Photos, interrupt


def assert_same_runs(one: Path, other: Path) -> None:
    """Histories (without the times) and the weights of the last checkpoints are equal, bit for bit."""
    left, right = (read_history(run / "history.csv") for run in (one, other))
    assert set(left[0]) == set(history_columns(LOSSES)) - set(HEADLINE_METRICS)
    assert [row | {"seconds": 0} for row in left] == [row | {"seconds": 0} for row in right]
    first, second = (read_checkpoint(RunFolder(run).last) for run in (one, other))
    assert first.step == second.step
    for a, b in ((first.network, second.network), (first.ema, second.ema)):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_stopped_run_resumes_exactly(photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.load("demo", SMALL)
    train, val = photos
    MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "whole", quiet=True)

    interrupt(monkeypatch, before=4)
    with pytest.raises(InterruptedRun, match="--resume"):
        MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "resumed", quiet=True)
    monkeypatch.undo()
    assert read_checkpoint(tmp_path / "resumed" / "checkpoints" / "last.pt").step == 4
    MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "resumed", resume=True, quiet=True)

    assert_same_runs(tmp_path / "whole", tmp_path / "resumed")


@pytest.mark.parametrize(("died_in", "stages"), [(5, []), (6, []), (5, [TWO_STAGES])])
def test_a_killed_run_resumes_exactly(
    died_in: int, stages: list[str], photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ["train.checkpoint_every_steps=2", "train.ema_decay=0.9", "train.grad_accumulation_steps=2", *stages]
    config = Config.load("demo", [*SMALL, *more])
    train, val = photos
    MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "whole", quiet=True)

    class KilledError(BaseException):
        """An error that no code catches."""

    step = Trainer.step

    def step_and_die(trainer: Trainer) -> None:
        step(trainer)
        if trainer.state.step == died_in:
            raise KilledError

    monkeypatch.setattr(Trainer, "step", step_and_die)
    with pytest.raises(KilledError):
        MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "resumed", quiet=True)
    monkeypatch.undo()
    assert read_checkpoint(RunFolder(tmp_path / "resumed").last).step == 4
    MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "resumed", resume=True, quiet=True)
    assert_same_runs(tmp_path / "whole", tmp_path / "resumed")


def test_a_damaged_checkpoint_falls_back_to_the_previous_one(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.load("demo", SMALL)
    train, val = photos
    MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "whole", quiet=True)
    step = Trainer.step

    def step_and_stop(trainer: Trainer) -> None:
        step(trainer)
        if trainer.state.step == 5:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Trainer, "step", step_and_stop)
    with pytest.raises(InterruptedRun):
        MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "resumed", quiet=True)
    monkeypatch.undo()
    folder = RunFolder(tmp_path / "resumed")
    content = bytearray(folder.last.read_bytes())
    content[len(content) // 2] ^= 255  # one wrong byte among the weights
    folder.last.write_bytes(content)
    MaskRCNN(config).build(train.classes).fit(train, val, folder.path, resume=True, quiet=True)
    assert "damaged" in folder.log.read_text()
    assert "resuming from the one before, at step 3" in folder.log.read_text()
    assert_same_runs(tmp_path / "whole", folder.path)


def test_a_loaded_run_predicts_like_the_trained_model(photos: Photos, tmp_path: Path) -> None:
    config = Config.load("demo", SMALL)
    train, val = photos
    model = MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "run", quiet=True)
    folder = RunFolder(tmp_path / "run")
    with Image.open(folder.curves) as curves:
        assert curves.size[0] > 1000
    log = folder.log.read_text().splitlines()
    headings = [line.split()[2] for line in log[:7]]
    assert headings == ["network", "weights", "photos", "steps", "numbers", "anchors", "memory"]
    assert "2 epochs of 3 steps of 2 photos" in log[3]
    epochs = [line.split()[2:6] for line in log[7:] if line.split()[2] == "epoch"]  # advice depends on load and result
    assert epochs == [["epoch", str(n), "of", "2:"] for n in (1, 2)]
    again = MaskRCNN.load(tmp_path / "run")
    assert again.classes == ["Suit", "Dress", "Jeans"]
    one, other = (m.predict(train.images[0].path) for m in (model, again))
    assert torch.equal(one.boxes, other.boxes)
    assert torch.equal(one.masks.pixels(), other.masks.pixels())


def test_overwrite_removes_the_files_of_the_old_run(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.load("demo", SMALL)
    train, val = photos
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    for old in ("weights.safetensors", "checkpoints/last.pt", "metrics.json", "history.csv", "mine.txt"):
        (run / old).write_text("old")
    model = MaskRCNN(config).build(train.classes)
    with pytest.raises(ClothsegError, match="exists already"):
        model.fit(train, val, run, quiet=True)
    assert (run / "weights.safetensors").read_text() == "old"

    step = Trainer.step

    def step_with_sigterm(trainer: Trainer) -> None:
        signal.raise_signal(signal.SIGTERM)
        step(trainer)

    monkeypatch.setattr(Trainer, "step", step_with_sigterm)
    with pytest.raises(InterruptedRun, match="--resume"):
        model.fit(train, val, run, overwrite=True, quiet=True)
    left = {str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()}
    assert left == {"config.yaml", "checkpoints/last.pt", "log.txt", "run.json", "mine.txt"}


def test_a_finished_run_is_extended_and_its_weights_are_loaded(photos: Photos, tmp_path: Path) -> None:
    config = Config.load("demo", SMALL)
    train, val = photos
    first = RunFolder(tmp_path / "first")
    MaskRCNN(config).build(train.classes).fit(train, val, first.path, quiet=True)
    before = first.history.read_text()
    longer = config.extended(2)
    MaskRCNN(longer).build(train.classes).fit(train, val, first.path, resume=True, quiet=True)
    assert first.history.read_text().startswith(before)
    rows = read_history(first.history)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[2]["learning_rate"] > rows[1]["learning_rate"]  # the new epochs start a new schedule
    assert Config.load(first.config) == longer
    model = MaskRCNN(config).build(train.classes).load_weights(first.path)
    assert model.network is not None
    ended = read_checkpoint(first.last).network
    assert all(torch.equal(ended[name], tensor) for name, tensor in model.network.state_dict().items())


def test_results_depend_neither_on_the_workers_nor_on_resuming_with_others(
    small_photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Histories and weights are equal to the last bit; one run stops within epoch 2 and resumes with other workers."""
    train, val = small_photos
    views = ["augment.fixed_views=0", "augment.copy_paste=0.5", "augment.rotate=9", "train.feature_cache_mb=0"]
    configs = [
        Config.load("demo", [*TINY, *views, f"train.workers={count}", f"train.worker_type={kind}"])
        for count, kind in ((0, "auto"), (2, "thread"), (2, "process"))
    ]
    for number, config in enumerate(configs):
        MaskRCNN(config).build(CLASSES).fit(train, val, tmp_path / f"run{number}", quiet=True)
    step = Trainer.step

    def step_with_sigterm(trainer: Trainer) -> None:
        step(trainer)
        if trainer.state.step == 3:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Trainer, "step", step_with_sigterm)
    with pytest.raises(InterruptedRun):
        MaskRCNN(configs[2]).build(CLASSES).fit(train, val, tmp_path / "run3", quiet=True)
    MaskRCNN(configs[1]).build(CLASSES).fit(train, val, tmp_path / "run3", resume=True, quiet=True)
    histories = [read_history(RunFolder(tmp_path / f"run{number}").history) for number in range(4)]
    weights = [load_file(RunFolder(tmp_path / f"run{number}").weights) for number in range(4)]
    for history, tensors in zip(histories[1:], weights[1:], strict=True):
        assert [row | {"seconds": 0} for row in history] == [row | {"seconds": 0} for row in histories[0]]
        assert all(torch.equal(tensors[name], weights[0][name]) for name in tensors)
    log = RunFolder(tmp_path / "run2").log.read_text()
    assert len(re.findall(r"epoch \d of 3: .*, waiting for data \d+ %\n", log)) == 3


def test_a_run_that_cannot_be_written_is_reported(
    small_photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, val = small_photos
    config, longer = (Config.load("demo", [*TINY, f"train.epochs={epochs}"]) for epochs in (1, 2))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ClothsegError, match="cannot be written"):
        MaskRCNN(config).build(CLASSES).fit(train, val, tmp_path / "file" / "run", quiet=True)

    run = tmp_path / "run"
    MaskRCNN(config).build(CLASSES).fit(train, val, run, quiet=True)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    def read_only(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", read_only)
    with pytest.raises(RunError, match=r"cannot be written.*Permission denied"):
        MaskRCNN(longer).build(CLASSES).fit(train, val, run, resume=True, quiet=True)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
