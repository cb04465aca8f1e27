"""`history.csv`: one row per epoch."""

import csv
import io
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from clothseg.config import HEADLINE_METRICS
from clothseg.errors import RunError, reading, shown
from clothseg.files import atomic_write

_ALWAYS = ("epoch", "step", "learning_rate", "seconds")
"""The first columns."""
OVERFIT_EPOCHS = 3
"""Consecutive epochs for which a validation loss rises before it counts as overfitting."""
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
    if len(set(header)) != len(header) or "epoch" not in header:
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
            raise RunError(f"{path}: row {number}: {name} is {shown(cell)}, not a number; copy the run again") from None
    if not math.isfinite(row.get("epoch", math.nan)):
        raise RunError(f"{path}: row {number}: epoch is missing or not finite; copy the run again")
    return row


def overfitting(rows: Sequence[HistoryRow]) -> dict[str, int]:
    """Losses that fall on the training photos only, and the epoch from which they do.

    A loss counts from the first epoch in which it rises on the validation photos, if it does so for `OVERFIT_EPOCHS`
    consecutive epochs while it falls on the training photos; until it is lower than ever before. No loss counts while
    the total still improves: at the beginning one loss rises because others fall.
    """
    return {name: since for name in loss_names_in(rows) if (since := _rising_since(rows, name))}


def _rising_since(rows: Sequence[HistoryRow], name: str) -> int:
    since, lowest, least = 0, math.inf, math.inf
    for last, row in enumerate(rows):
        improves, least = row.get("val_total", math.inf) < least, min(least, row.get("val_total", math.inf))
        recent = rows[max(0, last - OVERFIT_EPOCHS) : last + 1]
        values = [r.get(f"val_{name}", math.nan) for r in recent]
        if values[-1] < lowest:
            since, lowest = 0, values[-1]
        rises = len(recent) > OVERFIT_EPOCHS and all(a < b for a, b in pairwise(values))
        if not since and rises and not improves and row[f"train_{name}"] < recent[0][f"train_{name}"]:
            since = int(recent[1]["epoch"])
    return since
