"""`history.csv`: one row per epoch."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from clothseg.config import HEADLINE_METRICS
from clothseg.errors import RunError, reading, shown
from clothseg.files import atomic_write

_ALWAYS = ("epoch", "step", "learning_rate", "seconds")
"""The first columns."""
HistoryRow = dict[str, float]
"""One epoch: `epoch`, `step`, `learning_rate`, `seconds`, `train_` and `val_` losses, metrics of an evaluation."""


def history_columns(loss_names: Sequence[str]) -> list[str]:
    """The columns for a network's losses. To add a column, name it here and fill it where the trainer makes its row."""
    losses = ("total", *loss_names)
    return [
        *_ALWAYS,
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
    """The rows of a history; empty cells are left out of their row.

    Raises:
        RunError: the file is damaged. The message names the row.
    """
    with path.open(newline="", encoding="utf-8") as file, reading(path, RunError, "copy the run again"):
        table = list(csv.reader(file))
    header, rows = (table[0], table[1:]) if table else ([], [])
    if len(set(header)) != len(header) or not set(_ALWAYS) <= set(header):
        raise RunError(f"{path}: row 1: not the columns of a history; copy the run again")
    return [_parse(path, number, header, cells) for number, cells in enumerate(rows, start=2) if cells]


def _parse(path: Path, number: int, header: Sequence[str], cells: Sequence[str]) -> HistoryRow:
    if len(cells) != len(header):
        raise RunError(f"{path}: row {number} has {len(cells)} cells, but the header {len(header)}; copy the run again")
    row: HistoryRow = {}
    for name, cell in zip(header, cells, strict=True):
        try:
            row |= {name: float(cell)} if cell else {}
        except ValueError:
            raise RunError(f"{path}: row {number}: {name} is {shown(cell)}, not a number") from None
    if not math.isfinite(row.get("epoch", math.nan)):
        raise RunError(f"{path}: row {number}: epoch is missing or not finite; copy the run again")
    return row
