"""The exceptions of the package: all are subclasses of `ClothsegError`.

A message says what is wrong, where (file, row, id) and what to do; `shell_command` quotes a command that it proposes.
The command line shows the message without a traceback and exits with code 2.
"""

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


def shell_command(words: Iterable[object]) -> str:
    """The words as one line, quoted so that it can be pasted into the shell of this system."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if sys.platform == "win32" else shlex.join(texts)
