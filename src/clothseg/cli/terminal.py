"""What the commands share on a terminal: messages, progress bars, encoding."""

import io
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from clothseg.errors import shell_command
from clothseg.optional import is_installed

T = TypeVar("T")
_LISTED = 10  # lines of a list on the screen
ERRORS = Console(stderr=True, soft_wrap=True, highlight=False)
"""For messages to the user. Results go to stdout."""
LOADING = "loading the matting (compiled the first time)"


def open_closed_streams() -> None:
    """Opens the null device for each of stdin, stdout and stderr that the caller closed.

    Python sets such a stream to None. Worse, the next file that is opened gets its number, and what a library prints
    would go into that file.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - until the program ends


def accept_any_text() -> None:
    """Makes stdout and stderr accept every character.

    On Windows, files and pipes have an old encoding such as cp1252, which raises UnicodeEncodeError for most alphabets.
    They become UTF-8, as JSON must be. A terminal keeps its encoding and shows `?` instead. A file name that is not
    UTF-8 is shown with escapes.
    """
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if stream.encoding.lower().replace("-", "") == "utf8":
            stream.reconfigure(errors="backslashreplace")
        elif stream.isatty():
            stream.reconfigure(errors="replace")
        else:
            stream.reconfigure(encoding="utf-8", errors="replace")


def close_output() -> None:
    """Drops what is still to be printed on stdout, so that the interpreter does not fail on it when it ends."""
    with suppress(OSError, ValueError, io.UnsupportedOperation):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Within the context, a warning is one line on stderr, without the line of code that it comes from."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        ERRORS.print(f"[bold yellow]warning:[/] {escape(' '.join(str(message).split()))}")

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # a photo is read, or its error says why it is not
        warnings.showwarning = show
        yield


def fail_for_unread(messages: Sequence[str], *, done: bool = True) -> None:
    """Lists photos that could not be read, and ends the command: exit code 1, or 2 if nothing was done.

    Raises:
        typer.Exit: there are any.
    """
    for message in messages:
        ERRORS.print(f"[bold red]not read:[/] {escape(message)}")
    if messages:
        end_failed(done=done)


def end_failed(*, done: bool) -> NoReturn:
    """Ends a command some of whose inputs failed: exit code 1, or 2 if all did, and nothing was done.

    Raises:
        typer.Exit: always.
    """
    raise typer.Exit(1 if done else 2)


def fail_in_part(lines: Sequence[str], whole_list: object = None) -> None:
    """Lists what is missing or broken, the first ten lines, and ends the command with exit code 1.

    Args:
        lines: one for each; if there is none, nothing happens.
        whole_list: where all of them are listed.

    Raises:
        typer.Exit: there are any.
    """
    if not lines:
        return
    ERRORS.print(f"[bold yellow]done in part:[/] {len(lines)} missing or broken")
    for line in lines[:_LISTED]:
        ERRORS.print(escape(f"  {line}"))
    rest = [f"and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    rest += [f"the whole list: {whole_list}"] if whole_list else []
    if rest:
        ERRORS.print(escape(f"  {'; '.join(rest)}"))
    raise typer.Exit(1)


def say_command(*words: object) -> None:
    """Prints a command of `clothseg` as a user would type it."""
    print(f"\n$ {shell_command(['clothseg', *words])}", flush=True)


def print_table(table: Table) -> None:
    """Prints a table of numbers at its own width: on a narrow terminal its rows wrap, but no number is lost."""
    console = Console(highlight=False, width=10_000)
    console.width = console.measure(table).maximum
    console.print(table)


def say_simpler_colours(*, quiet: bool) -> None:
    """Prints a note where PyMatting is not installed, which commands that cut out do once."""
    if not quiet and not is_installed("pymatting"):
        ERRORS.print(
            "pymatting is not installed: the background's colour is removed from soft edges in a simpler way "
            "(pip install pymatting)"
        )


def progress_bar(*, quiet: bool) -> Progress:
    """A bar on stderr with the count and the time left; hidden if `quiet`, or if stderr is not a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), _Counts(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)


class _Counts(MofNCompleteColumn):
    """How many of how many; nothing of a task that only waits."""

    def render(self, task: Task) -> Text:
        """`3/12`, or nothing."""
        return super().render(task) if task.total is not None or task.completed else Text()


def walk(bar: Progress, items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yields the items and shows them as a line of `bar` meanwhile; a `total` of 0 means that it is unknown."""
    task = bar.add_task(escape(what), total=total or None)
    for item in items:
        yield item
        bar.advance(task)
    bar.remove_task(task)


@contextmanager
def waiting(bar: Progress, what: str) -> Iterator[None]:
    """Within the context, shows a line of `bar` that says `what` is going on."""
    task = bar.add_task(escape(what), total=None)
    yield
    bar.remove_task(task)


@contextmanager
def opening(*, quiet: bool) -> Iterator[None]:
    """Within the context, which imports PyTorch and opens a network, shows that: it takes seconds."""
    with progress_bar(quiet=quiet) as bar, waiting(bar, "opening the network"):
        yield


def transfer_bar(*, quiet: bool, in_bytes: bool) -> Progress:
    """A bar like `progress_bar`, for a number of files, or for bytes with their speed."""
    counts: list[ProgressColumn] = [DownloadColumn(), TransferSpeedColumn()] if in_bytes else [MofNCompleteColumn()]
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), *counts, TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
