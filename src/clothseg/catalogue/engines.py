"""Does shards in this process, or in several processes of this machine, which share the shards as they are done."""

import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, cast

from clothseg.catalogue.reading import PhotoReader
from clothseg.catalogue.receipts import Receipt
from clothseg.catalogue.shard import ShardJob, do_shard
from clothseg.catalogue.shards import Shard
from clothseg.catalogue.tasks import NetworkSource
from clothseg.cores import possible_processes
from clothseg.errors import ClothsegError, RunError
from clothseg.stop import ignore_signals, starting_workers

Stop = Callable[[], bool]
"""Whether the work should end before the next shard."""
Progress = Callable[[int], object]
"""Gets a number of photos that are done."""


class Engine(Protocol):
    """Runs `do_shard`, somewhere."""

    def __call__(
        self, job: ShardJob, source: NetworkSource, shards: Iterator[Shard], stop: Stop, progress: Progress
    ) -> Iterator[Receipt]:
        """Yields the receipt of each shard when it is complete, in any order; ends early after a stop."""
        ...


def in_this_process(
    job: ShardJob, source: NetworkSource, shards: Iterator[Shard], stop: Stop, progress: Progress
) -> Iterator[Receipt]:
    """Does one shard after the other. The network is opened for the first of them."""
    network = None
    with PhotoReader() as reader:
        for shard in shards:
            if stop():
                return
            network = network or source.open(0, 1)
            receipt = do_shard(job, shard, network, reader, stop=stop, progress=progress)
            if receipt is None:
                return
            yield receipt


@dataclass(frozen=True)
class InProcesses:
    """Does shards in several processes; each opens the network once, and gets the next shard when it has done one.

    The processes end with this one, at the latest when their shard is done. After a stop, the shards in work are
    finished. A script that uses it needs `if __name__ == "__main__":`, because each process imports the script.

    Attributes:
        count: number of processes.
    """

    count: int

    def __call__(
        self, job: ShardJob, source: NetworkSource, shards: Iterator[Shard], stop: Stop, progress: Progress
    ) -> Iterator[Receipt]:
        """See `Engine`."""
        context = multiprocessing.get_context("spawn")  # a forked process would share locks and CUDA with this one
        processes: list[BaseProcess] = []
        idle: list[Connection] = []
        busy: set[Connection] = set()
        count = possible_processes(self.count)
        try:
            for shard in shards:
                if stop():
                    break
                if len(processes) < count:
                    ours: Any  # on Windows another class with the same methods
                    ours, theirs = context.Pipe()
                    process: BaseProcess = context.Process(
                        target=_serve, args=(theirs, job, source, len(processes), count), daemon=True
                    )
                    with starting_workers():
                        process.start()
                    theirs.close()
                    processes.append(process)
                    idle.append(ours)
                while not idle:
                    yield from _receive(busy, idle, progress)
                connection = idle.pop()
                try:
                    connection.send(shard)
                except (BrokenPipeError, ConnectionResetError):
                    raise _worker_ended() from None
                busy.add(connection)
            while busy:
                yield from _receive(busy, idle, progress)
        finally:
            for connection in (*idle, *busy):
                connection.close()
            for process in processes:
                if busy:
                    process.kill()  # they ignore other signals
                process.join()


def _receive(busy: set[Connection], idle: list[Connection], progress: Progress) -> Iterator[Receipt]:
    """Waits for at least one process, and yields what those that are ready have done."""
    for connection in cast("list[Connection]", wait(list(busy))):
        try:
            answer = connection.recv()
        except (EOFError, ConnectionResetError):
            raise _worker_ended() from None
        if isinstance(answer, Exception):
            raise answer
        busy.remove(connection)
        idle.append(connection)
        progress(answer.photos)
        yield answer


def _worker_ended() -> RunError:
    return RunError(
        "a worker process ended suddenly, perhaps because memory ran out; the same command continues; use fewer "
        "--devices or a smaller --batch"
    )


def _serve(connection: Connection, job: ShardJob, source: NetworkSource, worker: int, workers: int) -> None:
    """Runs in a process of its own: does each shard that arrives, until the other end is closed."""
    ignore_signals()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError), PhotoReader() as reader:
        network = None
        while True:
            shard = connection.recv()
            try:
                network = network or source.open(worker, workers)
                connection.send(do_shard(job, shard, network, reader))
            except BrokenPipeError:
                raise
            except Exception as error:  # the other end raises it
                connection.send(_sendable(error))


def _sendable(error: Exception) -> Exception:
    """The error, or one with its text if it cannot be sent to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # pickle's types are many
        kind = type(error) if isinstance(error, ClothsegError) else RuntimeError
        return RunError(str(error)) if kind is not RuntimeError else RuntimeError(f"{type(error).__name__}: {error}")
    return error
