"""What a training says: `log.txt`, with the time, and what is shown while it runs."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from clothseg.evaluation import HEADLINES


class RunLog:
    """Says a line on stderr and keeps it in a file.

    Args:
        path: of the file; lines are added at its end.
        quiet: keep lines, show none.
    """

    def __init__(self, path: Path, *, quiet: bool) -> None:
        self.path = path
        self.console = Console(stderr=True, soft_wrap=True, highlight=False, quiet=quiet)
        path.parent.mkdir(parents=True, exist_ok=True)

    def say(self, text: str, *, shown: bool = True) -> None:
        """One line; only into the file where it is not to be `shown`."""
        if shown:
            self.console.print(text, markup=False)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}\n")


def epoch_line(row: Mapping[str, float], epochs: int) -> str:
    """A row of the history in words."""
    parts = [
        f"{split} {row[f'{split}_total']:.3f} (class {row[f'{split}_class']:.3f}, bbox {row[f'{split}_bbox']:.3f}, "
        f"mask {row[f'{split}_mask']:.3f})"
        for split in ("train", "val")
    ]
    figures = [f"{name.replace('_', ' ')} {100 * row[name]:.1f}" for name in HEADLINES if name in row]
    said = "; ".join([f"losses {', '.join(parts)}", *([", ".join(figures)] if figures else [])])
    return f"epoch {row['epoch']:.0f} of {epochs}: {said}, {row['seconds']:.0f} s"


def step_bar(console: Console) -> Progress:
    """A bar with count, time left and the losses so far; none on a quiet console, or where it is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
        console=console,
        disable=console.quiet or not console.is_terminal,
    )
