"""Workers that load examples: threads, or processes with a thread each that talks to it."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from clothseg.config import TrainSettings
from clothseg.cores import usable_cores
from clothseg.dataset.examples import Example, ExampleSource
from clothseg.devices import CAPTURE_LOCK
from clothseg.loading.worker import WorkerProcess

MOST_PROCESSES = 8
"""Processes that `train.workers: auto` starts at most; each takes about 300 MB."""


class WorkerPool:
    """Loads examples of its sources in the background. What it loads does not depend on the number or kind of workers.

    Attributes:
        workers: how many; 0 loads nothing in the background.
        processes: whether they are processes, not threads.
        workers_started: the processes that run, or ran.

    Args:
        workers: see above.
        processes: see above.
        pinned: put examples into pinned memory, for a GPU.
    """

    def __init__(self, workers: int, *, processes: bool = False, pinned: bool = False) -> None:
        self.workers, self.processes, self.pinned = workers, processes and workers > 0, pinned
        self.sources: list[ExampleSource] = []
        self._threads = ThreadPoolExecutor(workers, "loader") if workers else None
        self._own = threading.local()
        self.workers_started: list[WorkerProcess] = []

    @classmethod
    def for_training(cls, settings: TrainSettings, device: torch.device, ranks: int) -> "WorkerPool":
        """The workers of one of `ranks` processes that learn together on this machine, as the settings say.

        `auto` is one thread beside a CPU, which is busy anyway; for a GPU it is a process for each core that is left,
        up to `MOST_PROCESSES`.
        """
        kind = settings.worker_type
        processes = device.type != "cpu" if kind == "auto" else kind == "process"
        left = usable_cores() // ranks - 1
        auto = max(1, min(MOST_PROCESSES, left)) if processes else 1
        workers = auto if settings.workers == "auto" else settings.workers
        return cls(workers, processes=processes, pinned=device.type == "cuda")

    @property
    def description(self) -> str:
        """The workers, for people."""
        if not self.workers:
            return "no workers"
        kind = "process" if self.processes else "thread"
        return f"{self.workers} {kind}{'' if self.workers == 1 else 'es' if self.processes else 's'}"

    def batches_ahead(self, photos: int) -> int:
        """How many batches of `photos` to load ahead, so that every worker has one photo and the next."""
        return max(2, -(-2 * self.workers // photos))

    def add(self, source: ExampleSource) -> int:
        """The number of a source, for `submit`; add all of them before the first `submit`."""
        if type(source.dataset).__module__ == "__main__":  # a worker does not run the user's script
            self.processes = False
        self.sources.append(source)
        return len(self.sources) - 1

    def submit(self, source: int, position: int, version: int) -> Future[Example]:
        """Starts to load an example."""
        assert self._threads is not None
        return self._threads.submit(self._load, source, position, version)

    def close(self) -> None:
        """Ends the workers. What they load is lost."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self.workers_started:
            process.end()

    def _load(self, source: int, position: int, version: int) -> Example:
        if not self.processes:
            image, truth = self.sources[source].load(position, version)
            with CAPTURE_LOCK:
                return (image.pin_memory() if self.pinned else image), truth
        process: WorkerProcess | None = getattr(self._own, "process", None)
        if process is None:
            process = self._own.process = WorkerProcess(self.sources, pinned=self.pinned)
            self.workers_started.append(process)
        return process.load(source, position, version)
