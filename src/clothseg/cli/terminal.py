"""What the commands share on a terminal: messages and progress bars."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
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

T = TypeVar("T")
ERRORS = Console(stderr=True, soft_wrap=True, highlight=False)
"""Messages for people; answers go to stdout."""


def counted(number: int, thing: str) -> str:
    """`1 photo`, `3 photos`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def progress_bar(*, quiet: bool) -> Progress:
    """A bar on stderr with count and time left; none if `quiet`, or where stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)


def walk(bar: Progress, items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """The items, with a line of their own in `bar` while they last; a `total` of 0 is one that is not known."""
    task = bar.add_task(escape(what), total=total or None)
    for item in items:
        yield item
        bar.advance(task)
    bar.remove_task(task)


def transfer_bar(*, quiet: bool, in_bytes: bool) -> Progress:
    """A bar like `progress_bar`, for files or, with the speed, for bytes."""
    counts: list[ProgressColumn] = [DownloadColumn(), TransferSpeedColumn()] if in_bytes else [MofNCompleteColumn()]
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), *counts, TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
