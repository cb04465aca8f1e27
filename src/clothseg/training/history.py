"""`history.csv`: one row per epoch."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from clothseg.config import HEADLINE_METRICS
from clothseg.files import atomic_write

HistoryRow = dict[str, float]
"""One epoch: `epoch`, `step`, `learning_rate`, `seconds`, `train_` and `val_` losses, metrics of an evaluation."""


def history_columns(loss_names: Sequence[str]) -> list[str]:
    """The columns for a network's losses. To add a column, name it here and fill it where the trainer makes its row."""
    losses = ("total", *loss_names)
    return [
        *("epoch", "step", "learning_rate", "seconds"),
        *(f"train_{name}" for name in losses),
        *(f"val_{name}" for name in losses),
        *HEADLINE_METRICS,
    ]


def loss_names_in(rows: Sequence[HistoryRow]) -> list[str]:
    """The losses that a history has, `total` first."""
    names = dict.fromkeys(key.removeprefix("train_") for row in rows for key in row if key.startswith("train_"))
    return sorted(names, key=lambda name: name != "total")


def write_history(path: Path, rows: Sequence[HistoryRow], loss_names: Sequence[str]) -> None:
    """Writes all rows; numbers in full, a missing one as an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, history_columns(loss_names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(path, text.getvalue())


def read_history(path: Path) -> list[HistoryRow]:
    """The rows of a history; empty cells are left out of their row."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
