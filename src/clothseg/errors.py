"""What can go wrong, as one tree: catch `ClothsegError` to catch everything that the package raises on purpose.

A message says what is wrong, where (file, row, id) and what to do about it. The command line shows it without a
traceback and exits with 2.
"""


class ClothsegError(Exception):
    """Wrong input, told in words for the person who gave it."""


class ConfigError(ClothsegError):
    """A configuration file or override that does not describe a run. The message lists every problem at once."""


class PhotoError(ClothsegError):
    """A photo that cannot be read."""


class VideoError(PhotoError):
    """A video that cannot be read, or not to its end."""


class DataError(ClothsegError):
    """A table, annotation or mask that cannot be what it claims to be."""


class WeightsError(ClothsegError):
    """A weights file that does not fit the network, or is no weights file."""


class RunError(ClothsegError):
    """A run folder that is in the way, incomplete, or not a run."""


class SpoiledRun(RunError):  # noqa: N818 - the run is what is spoiled
    """Training ended in a state that is not worth keeping; the checkpoints from before it are as they were."""


class InterruptedRun(ClothsegError):  # noqa: N818 - nothing went wrong
    """Training was stopped by hand; what was learned is saved, and the message says how to go on."""


class DownloadError(ClothsegError):
    """A file that could not be fetched. The message names its address, what the server did, and what to do."""


class GoneError(DownloadError):
    """The server answers, but has no such file, or does not give it out."""
