"""What is loaded next, and how long the training waits for it."""

import time
from collections.abc import Iterable
from concurrent.futures import Future

from clothseg.loading.pool import WorkerPool
from clothseg.loading.source import Example, ExampleSource


class ExampleQueue:
    """Examples of one source, loaded before they are needed.

    Attributes:
        source: of the examples.
        pool: of the workers.
        pending: what the workers load, or have loaded.
        waited: seconds that `take` took.
    """

    def __init__(self, source: ExampleSource, pool: WorkerPool) -> None:
        self.source, self.pool, self.waited = source, pool, 0.0
        self.pending: dict[tuple[int, int], Future[Example]] = {}
        self._number = pool.add(source)

    def prefetch(self, places: Iterable[tuple[int, int]]) -> None:
        """Starts to load the examples at these positions and versions, and drops others that were started."""
        if not self.pool.workers:
            return
        before, self.pending = self.pending, {}
        for place in dict.fromkeys(places):
            started = before.pop(place) if place in before else self.pool.submit(self._number, *place)
            self.pending[place] = started
        for dropped in before.values():
            dropped.cancel()

    def take(self, position: int, version: int) -> Example:
        """The example, when it is loaded; loaded here if it was not started.

        Raises:
            PhotoError, DataError: it cannot be read.
            RunError: a worker process is gone.
        """
        started = time.perf_counter()
        pending = self.pending.pop((position, version), None)
        try:
            return pending.result() if pending else self.source.load(position, version)
        finally:
            self.waited += time.perf_counter() - started
