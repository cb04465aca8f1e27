"""The end of an epoch: metrics, the best epoch, early stopping, overfitting."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from clothseg.config import HEADLINE_METRICS, Config, TrainSettings
from clothseg.errors import PhotoError
from clothseg.evaluation import evaluate_coco
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder
from clothseg.training import HistoryRow, overfitting, read_checkpoint, read_history, stopped_early_after
from clothseg.training.validation import Validator, best_row, epoch_messages, should_stop

from .conftest import CLASSES, FALLS, TINY, Photos, load, loss_history, make_trainer


def model(*more: str) -> MaskRCNN:
    return MaskRCNN(Config.load("demo", [*TINY, *more])).build(CLASSES)


def metric_history(values: list[float | None]) -> list[HistoryRow]:
    """Rows of epochs 1, 2, ... with this mask AP; None in an epoch without evaluation."""
    return [
        {"epoch": n, "val_total": 1.0} | ({} if v is None else {"mask_AP": v}) for n, v in enumerate(values, start=1)
    ]


def test_metrics_of_an_epoch_match_evaluate_with_the_ema_weights(small_photos: Photos, tmp_path: Path) -> None:
    train, val = small_photos
    trained = model("train.evaluate_every=2", "train.ema_decay=0.5", "train.monitor=last", "train.epochs=5")
    trained.fit(train, val, tmp_path / "run", quiet=True)
    folder = RunFolder(tmp_path / "run")
    rows = read_history(folder.history)
    assert ["mask_AP" in row for row in rows] == [False, True, False, True, True]  # every second epoch, and the last
    ema = read_checkpoint(folder.last).ema
    saved = load_file(folder.weights)
    assert all(torch.equal(saved[name], ema[name]) for name in ema)
    assert any(not torch.equal(tensor, read_checkpoint(folder.last).network[name]) for name, tensor in ema.items())
    again = MaskRCNN.load(folder.path)  # the file has the EMA weights
    found = again.evaluate(val).overall
    for name in HEADLINE_METRICS:
        assert rows[-1][name] == pytest.approx(found[name], abs=1e-9)
    assert "mask AP" in folder.log.read_text()


def test_validation_uses_the_current_photos_of_the_data_set(small_photos: Photos, tmp_path: Path) -> None:
    """Removed photos do not count. Perfect detections have an AP of 1."""
    train, val = small_photos
    del val.images[1:]
    truth = make_trainer(Config.load("demo", TINY), (train, val), tmp_path).validator.truth
    assert truth.photos == [val.images[0].id]
    perfect = [{**row, "score": 0.9} for row in truth.annotations if not row["iscrowd"]]
    assert evaluate_coco(truth.tree, perfect, resamples=0).overall["mask_AP"] == pytest.approx(1.0)


def test_a_validation_photo_that_vanishes_is_left_out(small_data: Path, tmp_path: Path) -> None:
    """Its losses are not in the means. Without any photo there is nothing to choose the best epoch by."""
    shutil.copytree(small_data, tmp_path / "data")
    config, photos = Config.load("demo", [*TINY, "train.batch_size=1"]), load(tmp_path / "data")
    trainer = make_trainer(config, photos, tmp_path / "a")
    fewer = load(tmp_path / "data")
    gone = fewer[1].images.pop()
    other = make_trainer(config, fewer, tmp_path / "b")
    other.network.load_state_dict(trainer.network.state_dict())
    gone.path.unlink()
    row, expected = trainer.validator.validate(3, 1), other.validator.validate(3, 1)
    assert [name for name in row if name.startswith("val_") and row[name] != pytest.approx(expected[name])] == []
    assert "mask_AP" in row
    assert (len(trainer.validator.unread), other.validator.unread) == (1, [])
    assert gone.path.name in trainer.validator.unread[0]
    for entry in fewer[1].images:
        entry.path.unlink()
    trainer.validator.examples.clear_cache()
    with pytest.raises(PhotoError, match="no validation photo can be read"):
        trainer.validator.validate(1, 1)


def test_a_training_goes_on_with_a_broken_validation_photo(small_data: Path, tmp_path: Path) -> None:
    shutil.copytree(small_data, tmp_path / "data")
    train, val = load(tmp_path / "data")
    smallest = min(val.images, key=lambda entry: entry.height * entry.width + 1000 * len(entry.annotations))
    smallest.path.write_bytes(b"no photo")  # the forecast of memory reads the largest
    model().fit(train, val, tmp_path / "run", quiet=True)
    run = RunFolder(tmp_path / "run")
    assert [row["epoch"] for row in read_history(run.history)] == [1, 2, 3]
    assert run.log.read_text().count("1 of 3 validation photos cannot be read") == 3


def test_without_tensorboard_the_log_says_once_that_there_are_no_events(
    small_photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("validation", "run_summary"):
        monkeypatch.setattr(f"clothseg.training.{module}.is_installed", lambda package: package != "tensorboard")
    model("train.epochs=2").fit(*small_photos, tmp_path / "run", quiet=True)
    run = RunFolder(tmp_path / "run")
    assert run.log.read_text(encoding="utf-8").count("pip install tensorboard") == 1
    assert len(read_history(run.history)) == 2
    assert not run.events.exists()


def test_patience_stops_the_run_and_more_epochs_continue_it(
    small_photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With given metrics, epoch 2 is best, so a patience of 2 ends the run after epoch 4."""
    mask_aps = {1: 0.2, 2: 0.6, 3: 0.5, 4: 0.6, 5: 0.7}

    validated: dict[int, dict[str, torch.Tensor]] = {}

    def validate(validator: Validator, epoch: int, micro_batches: int) -> HistoryRow:
        validated[epoch] = {name: value.clone() for name, value in validator.network.state_dict().items()}
        return {f"val_{name}": 1.0 for name in ("total", *validator.network.loss_names)} | {"mask_AP": mask_aps[epoch]}

    monkeypatch.setattr(Validator, "validate", validate)
    train, val = small_photos
    more = ("train.evaluate_every=1", "train.monitor=mask_AP", "train.patience=2", "train.epochs=9")
    folder = RunFolder(tmp_path / "run")
    first = model(*more).fit(train, val, folder.path, quiet=True)
    assert len(read_history(folder.history)) == 4
    assert stopped_early_after(folder, first.config.train) == 4
    assert "mask_AP was best in epoch 2 (0.6000)" in folder.log.read_text()
    saved = load_file(folder.weights)
    assert all(torch.equal(saved[k], v) for k, v in validated[2].items())
    assert not all(torch.equal(saved[k], v) for k, v in validated[4].items())
    assert [path.name for path in folder.last.parent.iterdir()] == ["last.pt"]
    assert read_checkpoint(folder.last).step == 8

    before = folder.last.read_bytes()
    model(*more).fit(train, val, folder.path, resume=True, quiet=True)
    assert "nothing is left to do" in folder.log.read_text()
    assert folder.last.read_bytes() == before

    longer = MaskRCNN(first.config.extended(1, ended=4)).build(train.classes)
    longer.fit(train, val, folder.path, resume=True, quiet=True)
    assert [row["epoch"] for row in read_history(folder.history)] == [1, 2, 3, 4, 5]
    saved = load_file(folder.weights)
    assert all(torch.equal(saved[k], v) for k, v in validated[5].items())


@pytest.mark.parametrize(
    ("val", "train", "expected"),
    [
        ([9, 8, 7, 7.1, 7.2, 7.3, 7.4], FALLS, {"mask": 4}),  # reported after three rises, since the first one
        ([9, 8, 7, 7.1, 7.2, 7.1, 7.2], FALLS, {}),  # up and down
        ([9, 8, 7, 7.1, 7.2, 7.3, 7.4], [*FALLS[:3], 0.7, 0.8, 0.9, 1.0], {}),  # train rises too
        ([5, 5.1, 5.2, 5.3, 5.2, 5.1, 5.05], FALLS, {"mask": 2}),  # fell again, but not below its first value
        ([5, 5.1, 5.2, 5.3, 5.2, 5.1, 4.9], FALLS, {}),  # fell below its first value
    ],
)
def test_overfitting_starts_at_the_first_rise(val: list[float], train: list[float], expected: dict[str, int]) -> None:
    assert overfitting(loss_history(val, train)) == expected


def test_no_overfitting_is_reported_while_the_total_improves() -> None:
    """The box loss rises when more boxes are found. That is no overfitting."""
    rows = loss_history([0.04, 0.05, 0.06, 0.07, 0.08], FALLS[:5], "bbox")
    assert overfitting(rows) == {"bbox": 2}
    better = [row | {"val_total": 4.0 - row["epoch"] / 2} for row in rows]
    assert overfitting(better) == {}


def test_overfitting_is_reported_once() -> None:
    rows = loss_history([9, 8, 7, 7.1, 7.2, 7.3, 7.4], FALLS)
    settings = TrainSettings(epochs=20)
    messages = [sentence for n in range(1, 8) for sentence in epoch_messages(rows[:n], settings)]
    assert len(messages) == 1
    assert "mask (since epoch 4)" in messages[0]


def test_a_training_that_finds_nothing_says_so_at_its_end() -> None:
    settings = TrainSettings.model_validate({"epochs": 4, "evaluate_every": 2})

    def messages(values: list[float | None]) -> list[str]:
        rows = [{"epoch": n, "val_total": 1.0 / n} for n in range(1, len(values) + 1)]
        scored = [row | ({} if v is None else {"mask_AP50": v}) for row, v in zip(rows, values, strict=True)]
        return [text for text in epoch_messages(scored, settings) if "nothing was found" in text]

    assert messages([None, 0.0, None, 0.0])
    assert messages([None, 0.0]) == []  # it is not at its end
    assert messages([None, 0.0, None, 0.1]) == []
    assert messages([None, None, None, None]) == []  # it was never evaluated


def test_a_validation_loss_that_is_not_finite_is_reported() -> None:
    rows = loss_history([0.5, float("nan")], [0.5, 0.4])
    settings = TrainSettings(epochs=9)
    assert epoch_messages(rows[:1], settings) == []
    assert "not finite on the validation photos: mask;" in epoch_messages(rows, settings)[0]


def test_the_best_row_has_the_highest_metric_or_lowest_loss() -> None:
    settings = TrainSettings(monitor="mask_AP", evaluate_every=2, epochs=9)
    rows = metric_history([None, 0.3, None, 0.5, None, 0.5, None, 0.4])
    assert best_row(rows, settings)["epoch"] == 4
    assert best_row(rows[:1], settings)["epoch"] == 1  # without a metric, the last row
    assert best_row(metric_history([float("nan"), 0.1]), settings)["epoch"] == 2
    assert best_row(loss_history([3, 1, 2], FALLS[:3]), TrainSettings(monitor="val_mask"))["epoch"] == 2
    assert best_row(loss_history([3, 1, 2], FALLS[:3]), TrainSettings(monitor="last"))["epoch"] == 3


def test_early_stopping_matches_hand_computed_epochs() -> None:
    settings = TrainSettings(monitor="mask_AP", evaluate_every=2, epochs=20, patience=3)
    rows = metric_history([None, 0.3, None, 0.5, None, 0.45, None, 0.4, None])
    assert [should_stop(rows[:n], settings) for n in range(10)] == [n == 8 for n in range(10)]
    staged = TrainSettings.model_validate(
        settings.model_dump()
        | {"stages": [{"trainable": "heads", "end_epoch": 6}, {"trainable": "all", "end_epoch": 20}]}
    )
    assert not should_stop(rows[:8], staged)  # only two epochs of the new stage
    assert should_stop([*rows, *metric_history([0.4] * 10)[9:]], staged)
