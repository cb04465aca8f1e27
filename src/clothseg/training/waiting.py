"""How long the steps of an epoch wait for data, and what to change if that is too long."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from clothseg.cores import usable_cores
from clothseg.training.examples import ExampleQueue

TOO_LONG = 0.05
"""The part of the steps' time that may be spent waiting for data."""


class WaitingTime:
    """The time of the steps since the last `reset`, and the part of it that they waited for data.

    A GPU continues to work while the processor waits, so its training loses at most this part. The very first step does
    not count, because the workers start in it.

    Args:
        queue: the queue that the steps take their examples from.
    """

    def __init__(self, queue: ExampleQueue) -> None:
        self.queue = queue
        self.advised, self.begun = False, False
        self.reset()

    def reset(self) -> None:
        """Starts again from 0."""
        self.seconds, self.before = 0.0, self.queue.waited

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Adds the time spent within it."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - started
            if not self.begun:
                self.begun = True
                self.reset()

    @property
    def fraction(self) -> float:
        """The part of the steps' time that was spent waiting, 0..1."""
        return (self.queue.waited - self.before) / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        return f"waiting for data {100 * self.fraction:.0f} %"

    def advice(self, cached: int, photos: int) -> list[str]:
        """What to change if the steps wait too long, once for a training; else nothing.

        Args:
            cached: how many decoded photos fit into the cache.
            photos: of the dataset.
        """
        if self.fraction <= TOO_LONG or self.advised:
            return []
        self.advised = True
        pool, cores = self.queue.pool, usable_cores()
        changes = []
        if pool.workers < cores - 1 or not pool.workers:
            changes.append(f"more of train.workers (now {pool.workers}, of {cores} cores)")
        if not pool.processes and cores > 2:
            changes.append("train.worker_type=process")
        if cached < photos:
            changes.append(f"a larger train.image_cache_mb (now {cached} of {photos} decoded photos fit)")
        changes.append("less augmentation")
        return [
            f"the steps wait {100 * self.fraction:.0f} % of their time for data, loaded by {pool.description}; what "
            f"may help: {'; '.join(changes)}"
        ]
