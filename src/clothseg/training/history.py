"""`history.csv`: a row an epoch."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from clothseg.evaluation import HEADLINES
from clothseg.files import write_whole
from clothseg.networks import LOSS_NAMES

LOSSES = ("total", *LOSS_NAMES)
COLUMNS = (
    "epoch",
    "step",
    "learning_rate",
    "seconds",
    *(f"train_{name}" for name in LOSSES),
    *(f"val_{name}" for name in LOSSES),
    *HEADLINES,
)
"""To add a column, name it here and fill it where the loop makes its row."""

Row = dict[str, float]


def write_history(path: Path, rows: Sequence[Row]) -> None:
    """Write all rows; numbers in full, a missing one as an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())


def read_history(path: Path) -> list[Row]:
    """The rows of a history; empty cells are left out of their row."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
