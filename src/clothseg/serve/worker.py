"""One thread that works, and a queue of bounded length in front of it."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from clothseg.serve.limits import Limits, RequestError

T = TypeVar("T")
_LONGEST_WAIT = 60


class Worker:
    """Runs one piece of work at a time, in the order of arrival. It belongs to one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="clothseg-serve")
        self._places = self._bytes = 0
        self._seconds = 1.0  # of one piece of work, a moving average

    @contextmanager
    def place(self, size: int) -> Iterator[None]:
        """Within the context, the request has a place in the queue. It is taken before the request is read.

        Args:
            size: bytes of the request.

        Raises:
            RequestError: the queue is full (429). The header `Retry-After` says how many seconds to wait.
        """
        full = self._places > self._limits.queue or self._bytes + size > self._limits.queue_bytes
        if full and self._places:
            wait = min(max(math.ceil(self._seconds * self._places / 2), 1), _LONGEST_WAIT)
            raise RequestError(429, f"the queue is full; try again in {wait} s", {"Retry-After": str(wait)})
        self._places += 1
        self._bytes += size
        try:
            yield
        finally:
            self._places -= 1
            self._bytes -= size

    async def run(self, work: Callable[[], T], is_gone: Callable[[], Awaitable[bool]]) -> T:
        """Waits for its turn and does the work.

        Args:
            work: runs in the worker's thread.
            is_gone: whether the client has left; then the work is not done.

        Raises:
            RequestError: the client has left.
        """
        async with self._turn:
            if await is_gone():
                raise RequestError(499, "the client has left")
            start = time.monotonic()
            try:
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)
            finally:
                self._seconds += 0.2 * (time.monotonic() - start - self._seconds)

    def start(self, work: Callable[[], object]) -> None:
        """Does the work before any request, without waiting for it. Its errors are left to the first request."""
        self._thread.submit(work)

    def close(self) -> None:
        """Waits for the work in progress, and drops the rest."""
        self._thread.shutdown(wait=True, cancel_futures=True)
