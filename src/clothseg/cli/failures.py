"""How the command line reports a failure: one line for each kind, its exit code, and a log for unexpected errors."""

import errno
import os
import platform
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.markup import escape

from clothseg.cli.terminal import ERRORS
from clothseg.errors import ClothsegError, InterruptedRun, is_out_of_memory, shell_command
from clothseg.files import NO_SPACE
from clothseg.optional import LEFT_OUT
from clothseg.stop import TERMINATIONS, on_signals
from clothseg.versions import library_versions

PART, WRONG, FAULT = 1, 2, 3
"""Exit codes: stopped or done in part; wrong input, or a limit of this machine; a fault of clothseg."""
ISSUES = "https://github.com/clothseg/clothseg/issues"
_LONGEST = 1000  # characters of an unexpected error's own message
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_PYTORCH = {"torch", "torchvision", "timm", "lightning_fabric"}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


class StoppedCommand(ClothsegError):  # noqa: N818 - nothing went wrong
    """The command ended early because of something outside: Ctrl-C, or nobody reads its output any more."""


def explain_stop(error: BaseException) -> StoppedCommand:
    """What to say about Ctrl-C or a closed pipe."""
    if isinstance(error, KeyboardInterrupt):
        return StoppedCommand(f"{who_stopped(error)}; files that were finished are complete, the rest is not written")
    return StoppedCommand("the program that reads the output has ended")


def who_stopped(error: KeyboardInterrupt) -> str:
    """What ended a command: Ctrl-C, or a signal."""
    return f"ended from outside ({error.name})" if isinstance(error, Terminated) else "interrupted (Ctrl-C)"


class Terminated(KeyboardInterrupt):
    """The system, or another program, ends the command, or the terminal is closed.

    Attributes:
        name: of the signal.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@contextmanager
def termination_like_ctrl_c() -> Iterator[None]:
    """Within the context, SIGTERM and SIGHUP end a command as Ctrl-C does, so that it removes its temporary files."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated(signal.Signals(number).name)

    with on_signals(TERMINATIONS, end):
        yield


def report_failure(error: BaseException, arguments: Sequence[str]) -> int:
    """Prints one message about a failure on stderr.

    Args:
        error: what a command raised.
        arguments: the command line without the program's name, for the log of an unexpected error.

    Returns:
        the exit code.
    """
    if isinstance(error, StoppedCommand | InterruptedRun):
        return _print("stopped", str(error), PART)
    if isinstance(error, ClothsegError):
        return _print("error", str(error), WRONG)
    if text := _known(error):
        return _print("error", text, WRONG)
    what = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST]
    place = _write_log(error, arguments)
    details = f"the details are in {place}; please report it with this file" if place else "please report it"
    return _print("error", f"unexpected {what}. This is a fault of clothseg: {details}: {ISSUES}", FAULT)


def silence_threads() -> None:
    """Makes an unexpected error in a background thread one line with a log, like one in the main thread."""

    def report(failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
            report_failure(failed.exc_value, sys.argv[1:])

    threading.excepthook = report


def _print(word: str, text: str, code: int) -> int:
    try:
        ERRORS.print(f"[bold red]{word}:[/] {escape(text)}")
    except OSError:  # stderr is closed as well
        return code
    return code


def _known(error: BaseException) -> str:
    """The message for a failure of the machine; the empty string for anything else."""
    if is_out_of_memory(error):
        return (
            "memory ran out; close other programs, or take less at a time (smaller photos, --batch 1, fewer workers; "
            "for `fit`, --max-memory chooses settings that fit)"
        )
    if isinstance(error, BrokenExecutor):
        return (
            "a worker process ended suddenly, perhaps because memory ran out; the same command continues what it can; "
            "use fewer --workers"
        )
    if isinstance(error, ModuleNotFoundError) and error.name in _PYTORCH:
        return (
            f"this needs PyTorch, and {error.name} is not installed: pip install clothseg, with all that it requires; "
            "without PyTorch, networks run that `clothseg export` wrote"
        )
    if isinstance(error, ModuleNotFoundError) and (package := (error.name or "").partition(".")[0]) in LEFT_OUT:
        return f"this needs {package}, which is not installed: pip install {package}"
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return "the system allows no more threads; close other programs, or raise the limit (ulimit -u)"
    return _system_error(error) if isinstance(error, OSError) else ""


def _system_error(error: OSError) -> str:
    copied = error.errno in NO_SPACE and error.filename2 is not None
    named = error.filename2 if copied else error.filename  # a copy names its source first
    place = f"{os.fsdecode(named)}: " if isinstance(named, str | bytes | os.PathLike) else ""
    if error.errno in _FULL:
        return f"{place}no space is left on the disk, or of your quota; make room and run the command again"
    if error.errno in _REFUSED:
        return f"{place}no permission ({error.strerror}); choose another place, or change the rights of the file"
    if error.errno in {errno.EEXIST, errno.ENOTDIR}:
        return f"{place}a file is where a folder should be; choose another place"
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return f"{place}too many files are open; raise the limit (ulimit -n)"
    if error.errno == errno.EFBIG:
        return f"{place}the file would be larger than is allowed here; raise the limit (ulimit -f), or use another disk"
    return f"{place}{error.strerror}" if place and error.strerror else str(error) or type(error).__name__


def _write_log(error: BaseException, arguments: Sequence[str]) -> str:
    """Writes command, versions and traceback to a temporary file; returns its path, or "" if that is not possible."""
    versions = [f"{name} {number}" for name, number in library_versions().items()]
    lines = [shell_command(["clothseg", *arguments]), platform.platform(), ", ".join(versions), ""]
    text = "\n".join(lines) + "\n" + "".join(traceback.format_exception(error))
    try:
        handle, place = tempfile.mkstemp(prefix="clothseg-error-", suffix=".txt")
        os.close(handle)
        Path(place).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return ""
    return place
