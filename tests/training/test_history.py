"""`history.csv`: its columns, and reading back every number."""

from pathlib import Path

from clothseg.training import HistoryRow, history_columns, read_history, write_history
from clothseg.training.history import loss_names_in


def test_history_columns_come_from_the_loss_names() -> None:
    columns = history_columns(["heat", "mask"])
    assert columns[:4] == ["epoch", "step", "learning_rate", "seconds"]
    assert columns[4:10] == ["train_total", "train_heat", "train_mask", "val_total", "val_heat", "val_mask"]
    assert columns[10:] == ["mask_AP", "mask_AP50", "box_AP", "box_AP50", "report_mAP"]


def test_history_is_read_back_exactly(tmp_path: Path) -> None:
    rows: list[HistoryRow] = [
        {"epoch": 1.0, "step": 3.0, "train_total": 1 / 3, "train_mask": 0.1, "val_total": 2e-17},
        {"epoch": 2.0, "step": 6.0, "train_total": 0.0, "train_mask": 0.2, "val_total": 1e300, "mask_AP": 0.7},
    ]
    write_history(tmp_path / "history.csv", rows, ["mask"])
    assert read_history(tmp_path / "history.csv") == rows
    header = (tmp_path / "history.csv").read_text().splitlines()[0]
    assert header == ",".join(history_columns(["mask"]))
    assert loss_names_in(rows) == ["total", "mask"]
