"""The processor cores that this process may use, and libraries that would use too many of them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from clothseg.optional import is_installed

_MOST_ON_WINDOWS = 61
"""Windows waits for 64 objects at most, and Python needs some of them; see `concurrent.futures.ProcessPoolExecutor`."""


def usable_cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def possible_processes(wanted: int) -> int:
    """How many of `wanted` worker processes one process can wait for: on Windows at most 61."""
    return min(wanted, _MOST_ON_WINDOWS) if sys.platform == "win32" else wanted


@contextmanager
def one_numba_thread() -> Iterator[None]:
    """Within the context, Numba uses one thread for what this thread calls; afterwards as many as before.

    It is for short calls between calls of torch: the threads of both wait for work by spinning, on the same cores. So
    where Numba is not imported yet, this sets `NUMBA_NUM_THREADS` to 1 for the process, unless it is set; Numba then
    starts no more. The variable stays, because Numba reads it again when it compiles. Without Numba nothing happens.
    """
    if not is_installed("numba"):
        yield
        return
    if "numba" not in sys.modules:
        os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    import numba  # noqa: PLC0415 - half a second

    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)
