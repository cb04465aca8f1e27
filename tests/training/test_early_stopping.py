"""What a history says, on rows written by hand; and the points that TensorBoard finds."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from clothseg.config import Config, Train
from clothseg.errors import ConfigError
from clothseg.training.history import LOSSES, Row
from clothseg.training.optimizer import rate_scale
from clothseg.training.schedule import plan_spans
from clothseg.training.tensorboard import write_events
from clothseg.training.verdicts import best_row, gives_up, news, overfitting


def history(val: list[float], train: list[float], name: str = "mask") -> list[Row]:
    """Rows of epochs 1, 2, ... in which one loss goes as given, and all others stay."""
    still = {f"{split}_{loss}": 1.0 for split in ("train", "val") for loss in LOSSES}
    return [
        still | {"epoch": n, f"val_{name}": v, f"train_{name}": t}
        for n, (v, t) in enumerate(zip(val, train, strict=True), 1)
    ]


def with_figure(values: list[float | None]) -> list[Row]:
    return [
        {"epoch": n, "val_total": 1.0} | ({} if v is None else {"mask_AP": v}) for n, v in enumerate(values, start=1)
    ]


FALLS = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]


@pytest.mark.parametrize(
    ("val", "train", "expected"),
    [
        ([9, 8, 7, 7.1, 7.2, 7.3, 7.4], FALLS, {"mask": 4}),  # told after three rises, from the first one on
        ([9, 8, 7, 7.1, 7.2, 7.1, 7.2], FALLS, {}),  # up and down
        ([9, 8, 7, 7.1, 7.2, 7.3, 7.4], [*FALLS[:3], 0.7, 0.8, 0.9, 1.0], {}),  # train rises too
        ([5, 5.1, 5.2, 5.3, 5.2, 5.1, 5.05], FALLS, {"mask": 2}),  # it fell again, but not below what it was
        ([5, 5.1, 5.2, 5.3, 5.2, 5.1, 4.9], FALLS, {}),  # it did
    ],
)
def test_a_loss_overfits_from_the_first_rise(val: list[float], train: list[float], expected: dict[str, int]) -> None:
    assert overfitting(history(val, train)) == expected


def test_nothing_overfits_while_the_total_gets_better() -> None:
    """Boxes are harder when more of them are found: that is no overfitting."""
    rows = history([0.04, 0.05, 0.06, 0.07, 0.08], FALLS[:5], "bbox")
    assert overfitting(rows) == {"bbox": 2}
    better = [row | {"val_total": 4.0 - row["epoch"] / 2} for row in rows]
    assert overfitting(better) == {}


def test_overfitting_is_told_once() -> None:
    rows = history([9, 8, 7, 7.1, 7.2, 7.3, 7.4], FALLS)
    settings = Train(epochs=20)
    told = [sentence for n in range(1, 8) for sentence in news(rows[:n], settings)]
    assert len(told) == 1
    assert "mask (since epoch 4)" in told[0]


def test_a_validation_that_is_not_finite_is_told() -> None:
    rows = history([0.5, float("nan")], [0.5, 0.4])
    settings = Train(epochs=9)
    assert news(rows[:1], settings) == []
    assert "not finite on the validation photos: mask;" in news(rows, settings)[0]


def test_a_figure_is_best_when_it_is_high_and_the_first_of_equals_wins() -> None:
    settings = Train(best="mask_AP", evaluate_every=2, epochs=9)
    rows = with_figure([None, 0.3, None, 0.5, None, 0.5, None, 0.4])
    assert best_row(rows, settings)["epoch"] == 4
    assert best_row(rows[:1], settings)["epoch"] == 1  # no figure yet: the last one
    assert best_row(with_figure([float("nan"), 0.1]), settings)["epoch"] == 2
    assert best_row(history([3, 1, 2], FALLS[:3]), Train(best="val_mask"))["epoch"] == 2
    assert best_row(history([3, 1, 2], FALLS[:3]), Train(best="last"))["epoch"] == 3


def test_patience_by_hand() -> None:
    settings = Train(best="mask_AP", evaluate_every=2, epochs=20, patience=3)
    rows = with_figure([None, 0.3, None, 0.5, None, 0.45, None, 0.4, None])
    assert [gives_up(rows[:n], settings) for n in range(10)] == [n == 8 for n in range(10)]
    staged = Train.model_validate(
        settings.model_dump() | {"stages": [{"layers": "heads", "until": 6}, {"layers": "all", "until": 20}]}
    )
    assert not gives_up(rows[:8], staged)  # two epochs of the new stage
    assert gives_up([*rows, *with_figure([0.4] * 10)[9:]], staged)


def test_an_early_ended_run_is_extended_from_where_it_ended() -> None:
    config = Config.load("paper", ["train.patience=5"])
    longer = config.extended(10, ended=60).train
    assert [(s.layers, s.until, s.learning_rate) for s in longer.stages] == [
        (5, 40, 0.001),
        (0, 60, 0.0001),
        (0, 70, 0.0001),
    ]
    assert config.extended(10).train.epochs == 130


def test_best_that_never_comes_is_refused() -> None:
    with pytest.raises(ConfigError, match="evaluate_every"):
        Config.load("demo", ["train.best=mask_AP"])
    with pytest.raises(ConfigError, match="patience"):
        Config.load("demo", ["train.best=last", "train.patience=2"])


def test_the_rate_follows_the_photos_of_a_step() -> None:
    assert rate_scale(Train(), 64) == 1.0
    assert rate_scale(Train(rate_for_photos=16), 2) == 0.125
    assert rate_scale(Train(rate_for_photos=16, optimizer="adamw"), 4) == 0.5
    config = Config.load("paper", ["train.rate_for_photos=8"])
    assert [span.rate for span in plan_spans(config, 131, 2)] == pytest.approx([0.00025, 0.000025])


def points(folder: Path, split: str, tag: str) -> list[tuple[int, float]]:
    read = EventAccumulator(str(folder / split), purge_orphaned_data=False)
    read.Reload()
    return [(event.step, round(event.value, 4)) for event in read.Scalars(tag)]


def test_tensorboard_finds_each_epoch_once(tmp_path: Path) -> None:
    rows = [
        row | {"learning_rate": 0.1, "train_total": n / 10, "val_total": n / 4}
        for n, row in enumerate(history(FALLS, FALLS), 1)
    ]
    rows[3]["mask_AP"] = 0.25
    for n in range(1, 6):
        write_events(tmp_path, rows[:n])
    file = next((tmp_path / "train").iterdir())
    first = file.read_bytes()
    file.write_bytes(first[:-7])  # a torn end
    write_events(tmp_path, rows[:4])  # the run was killed, and goes on from the third epoch
    for n in (5, 6):
        write_events(tmp_path, rows[:n])
    assert points(tmp_path, "train", "loss/total") == [(n, n / 10) for n in range(1, 7)]
    assert points(tmp_path, "val", "loss/total") == [(n, n / 4) for n in range(1, 7)]
    assert points(tmp_path, "val", "figure/mask_AP") == [(4, 0.25)]
    assert points(tmp_path, "train", "learning_rate") == [(n, 0.1) for n in range(1, 7)]
    file.unlink()
    write_events(tmp_path, rows)
    assert len(points(tmp_path, "train", "loss/mask")) == 7
