"""What the commands share on a terminal: messages and progress bars."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

ERRORS = Console(stderr=True, soft_wrap=True, highlight=False)
"""Messages for people; answers go to stdout."""


def progress_bar(*, quiet: bool) -> Progress:
    """A bar on stderr with count and time left; none if `quiet`, or where stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)


def transfer_bar(*, quiet: bool, in_bytes: bool) -> Progress:
    """A bar like `progress_bar`, for files or, with the speed, for bytes."""
    counts: list[ProgressColumn] = [DownloadColumn(), TransferSpeedColumn()] if in_bytes else [MofNCompleteColumn()]
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), *counts, TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
