"""The exceptions of the package: all are subclasses of `ClothsegError`.

A message says what is wrong, where (file, row, id) and what to do; `shell_command` quotes a command that it proposes.
The command line shows the message without a traceback and exits with code 2.
"""

import errno
import re
import reprlib
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_LONGEST_LINE, _LONGEST = 500, 900
_LISTED = 3  # photos that the message of an `UnreadPhotosError` names
_UNSEEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that control a terminal or the direction of writing, and halves of characters."""

_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother, _REPR.maxlong = 3, 60, 60, 60


class ClothsegError(Exception):
    """Wrong input, explained to the user.

    A message often repeats a piece of the input. So characters that a terminal would obey are escaped, and a message
    of more than 900 characters loses its middle.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(_presentable(str(message)))


class ConfigError(ClothsegError):
    """A configuration file, override or option that is wrong. The message lists all problems at once."""


class PhotoError(ClothsegError):
    """A photo that cannot be read."""


class UnreadPhotosError(PhotoError):
    """Some of many photos cannot be read; raised after all the others are done.

    Attributes:
        unread: a message for each of these photos.
        results: what the call would have returned: `Model.predict` has None in place of such a photo, and for the
            metrics of an evaluation its objects count as missed.
    """

    def __init__(self, unread: Sequence[str], photos: int, results: object = None) -> None:
        listed = "; ".join(unread[:_LISTED]) + ("; ..." if len(unread) > _LISTED else "")
        done = "" if results is None else "; the others are done, see `results` of this error"
        super().__init__(f"{len(unread)} of {photos} photos cannot be read{done}: {listed}")
        self.unread, self.results = list(unread), results


class VideoError(PhotoError):
    """A video that cannot be read, or ends too early."""


class DataError(ClothsegError):
    """A table, annotation or mask that is invalid."""


class WeightsError(ClothsegError):
    """A file that has no weights, or weights that do not fit the network."""


class RunError(ClothsegError):
    """A run folder that exists already, is incomplete, or is not a run."""


class SpoiledRun(RunError):  # noqa: N818 - the run is what is spoiled
    """The weights became useless and were not saved; the earlier checkpoints are unchanged."""


class InterruptedRun(ClothsegError):  # noqa: N818 - nothing went wrong
    """The user stopped a training or prediction. It is saved, and the message says how to continue."""


class DownloadError(ClothsegError):
    """A file that cannot be downloaded. The message has its URL, the server's answer, and what to do."""


class UnreachableError(DownloadError):
    """Every attempt failed, because of the network or a server that is too busy. A later one may succeed."""


class GoneError(DownloadError):
    """The server answers, but does not have the file or does not allow the download."""


OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "alloc_failed",
    "bad_alloc",
    "could not create a memory",
    "could not create a primitive",
)
"""Parts of the messages of torch and its libraries at out-of-memory, in lower case."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means out-of-memory. torch's own type, a RuntimeError, is known by its message."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in OUT_OF_MEMORY)


def package_error(error: ImportError, message: str) -> ClothsegError:
    """The error for a package that cannot be imported. `message` says what needs it, and how to install it."""
    if isinstance(error, ModuleNotFoundError):
        return ClothsegError(message)
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return ClothsegError(f"{message}; it is installed, but cannot be loaded ({reason}): install it again")


def shell_command(words: Iterable[object]) -> str:
    """The words as one line, quoted so that it can be pasted into the shell of this system."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if sys.platform == "win32" else shlex.join(texts)


def shown(value: object) -> str:
    """A value of any type for a message: its repr, with long and deeply nested parts cut."""
    return _REPR.repr(value)


@contextmanager
def reading(path: Path | str, kind: type[ClothsegError], advice: str = "") -> Iterator[None]:
    """Turns every failure of a library inside the context into one error that names the file.

    Libraries raise exceptions of many types for damaged files, and other versions of them raise others. Keep the
    context narrow: a mistake in our own code inside it would look like a damaged file. `--debug` shows the original
    error.

    Args:
        path: the file.
        kind: of the error.
        advice: what to do.

    Raises:
        ClothsegError: of `kind`; one that was raised inside stays as it is.
    """
    try:
        yield
    except ClothsegError:
        raise
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":  # of libraries written in Rust
            raise kind(f"{path}: cannot be read ({why_unread(error)}){'; ' if advice else ''}{advice}") from error
        raise


def why_unread(error: BaseException) -> str:
    """Why a file cannot be read, for a message that names it."""
    if isinstance(error, PermissionError):
        return "no permission; change its rights"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error) or type(error).__name__
    return f"{type(error).__name__}: {text}" if isinstance(error, LookupError | TypeError | AttributeError) else text


def _presentable(text: str) -> str:
    """The text without unseen characters; long lines and long texts lose their middle."""
    visible = _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
    if len(visible) <= _LONGEST_LINE:
        return visible
    lines = [_without_middle(line, _LONGEST_LINE) for line in visible.split("\n")]
    total = "\n".join(lines)
    return total if len(total) <= _LONGEST else _without_middle(total, _LONGEST)


def _without_middle(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    end = longest // 3
    return f"{text[: longest - end - 5]} ... {text[-end:]}"
