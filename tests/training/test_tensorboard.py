"""Event files, read by TensorBoard itself."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from clothseg.training.tensorboard import write_tensorboard

from .conftest import FALLS, LOSSES, loss_history


def points(folder: Path, split: str, tag: str) -> list[tuple[int, float]]:
    read = EventAccumulator(str(folder / split), purge_orphaned_data=False)
    read.Reload()
    return [(event.step, round(event.value, 4)) for event in read.Scalars(tag)]


def test_tensorboard_reads_each_epoch_once(tmp_path: Path) -> None:
    rows = [
        row | {"learning_rate": 0.1, "train_total": n / 10, "val_total": n / 4}
        for n, row in enumerate(loss_history(FALLS, FALLS), 1)
    ]
    rows[3]["mask_AP"] = 0.25
    for n in range(1, 6):
        write_tensorboard(tmp_path, rows[:n], LOSSES)
    file = next((tmp_path / "train").iterdir())
    first = file.read_bytes()
    file.write_bytes(first[:-7])  # an incomplete last record
    write_tensorboard(tmp_path, rows[:4], LOSSES)  # the run was killed, and repeats the fourth epoch
    for n in (5, 6):
        write_tensorboard(tmp_path, rows[:n], LOSSES)
    assert points(tmp_path, "train", "loss/total") == [(n, n / 10) for n in range(1, 7)]
    assert points(tmp_path, "val", "loss/total") == [(n, n / 4) for n in range(1, 7)]
    assert points(tmp_path, "val", "metric/mask_AP") == [(4, 0.25)]
    assert points(tmp_path, "train", "learning_rate") == [(n, 0.1) for n in range(1, 7)]
    file.unlink()
    write_tensorboard(tmp_path, rows, LOSSES)
    assert len(points(tmp_path, "train", "loss/mask")) == 7
