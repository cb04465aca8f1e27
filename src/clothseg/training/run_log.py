"""The log of a training: lines on stderr and in `log.txt`, and the progress bar."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from clothseg.config import HEADLINE_METRICS


class RunLog:
    """Prints lines on stderr and appends them to a file.

    Args:
        path: of the file.
        quiet: write lines to the file only.
    """

    def __init__(self, path: Path, *, quiet: bool) -> None:
        self.path = path
        self.console = Console(stderr=True, soft_wrap=True, highlight=False, quiet=quiet)
        path.parent.mkdir(parents=True, exist_ok=True)

    def info(self, text: str, *, shown: bool = True) -> None:
        """Logs one line; only to the file unless `shown`."""
        if shown:
            self.console.print(text, markup=False)
        with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}\n")


def epoch_line(row: Mapping[str, float], epochs: int, loss_names: Sequence[str]) -> str:
    """A row of the history as one line for people."""
    parts = []
    for split in ("train", "val"):
        losses = ", ".join(f"{name} {row[f'{split}_{name}']:.3f}" for name in loss_names)
        parts.append(f"{split} {row[f'{split}_total']:.3f} ({losses})")
    metrics = [f"{name.replace('_', ' ')} {100 * row[name]:.1f}" for name in HEADLINE_METRICS if name in row]
    texts = [f"losses {', '.join(parts)}", *([", ".join(metrics)] if metrics else [])]
    return f"epoch {row['epoch']:.0f} of {epochs}: {'; '.join(texts)}, {row['seconds']:.0f} s"


def step_bar(console: Console) -> Progress:
    """A bar with the count, the time left and the losses; no bar on a quiet console or without a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
        console=console,
        disable=console.quiet or not console.is_terminal,
    )
