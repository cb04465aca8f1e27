"""What the commands share on a terminal: the order of commands, messages, progress bars."""

from collections.abc import Sequence
from typing import Any

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
from typer.core import TyperGroup

ERRORS = Console(stderr=True, soft_wrap=True, highlight=False)
"""Messages for people; answers go to stdout."""


def in_order(names: Sequence[str]) -> type[TyperGroup]:
    """A group of commands that `--help` lists in the order of `names`."""

    class Ordered(TyperGroup):
        """Lists its commands in the order in which people use them."""

        def list_commands(self, ctx: Any) -> list[str]:
            """Names of the commands."""
            return sorted(super().list_commands(ctx), key=list(names).index)

    return Ordered


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
