"""The exceptions of the package: all are subclasses of `ClothsegError`.

A message says what is wrong, where (file, row, id) and what to do; `shell_command` quotes a command that it proposes.
The command line shows the message without a traceback and exits with code 2.
"""

import errno
import shlex
import subprocess
import sys
from collections.abc import Iterable


class ClothsegError(Exception):
    """Wrong input, explained to the user."""


class ConfigError(ClothsegError):
    """A configuration file, override or option that is wrong. The message lists all problems at once."""


class PhotoError(ClothsegError):
    """A photo that cannot be read."""


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
    """The user stopped the training. It is saved, and the message says how to continue."""


class DownloadError(ClothsegError):
    """A file that cannot be downloaded. The message has its URL, the server's answer, and what to do."""


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


def shell_command(words: Iterable[object]) -> str:
    """The words as one line, quoted so that it can be pasted into the shell of this system."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if sys.platform == "win32" else shlex.join(texts)
