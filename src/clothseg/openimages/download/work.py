"""Many things at once: what the stages of a download share, and the threads that they run on."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from filelock import FileLock, Timeout

from clothseg.errors import ClothsegError, DownloadError, GoneError
from clothseg.openimages.download.fetch import Advance
from clothseg.openimages.download.ledger import Ledger
from clothseg.openimages.download.plan import Failure
from clothseg.openimages.download.sources import Publisher
from clothseg.openimages.download.web import NoRangesError, Web

# After so many failures in a row that lie with the line or the server, the rest of a stage is not tried.
HOPELESS = 24
Item = TypeVar("Item")
Result = TypeVar("Result")


class Progress(Protocol):
    """A bar for `total` files, or bytes; what it gives is told of each step."""

    def __call__(self, what: str, total: int, *, in_bytes: bool) -> AbstractContextManager[Advance]:
        """Show a bar while the context lasts."""
        ...


@dataclass
class DownloadJob:
    """One run: where to, where from, and what has failed so far."""

    out: Path
    web: Web
    publisher: Publisher
    ledger: Ledger
    workers: int
    progress: Progress
    failed: list[Failure] = field(default_factory=list)

    @property
    def parts(self) -> Path:
        """Folder for what has come so far of files."""
        return state_folder(self.out) / "parts"


def state_folder(out: Path) -> Path:
    """Where a download keeps its own notes."""
    return out / ".download"


def map_concurrently(
    job: DownloadJob, items: Iterable[Item], work: Callable[[Item], Result]
) -> Iterator[tuple[Item, Result | Exception]]:
    """Do `work` on all items, several at a time, and give item and result, or its ClothsegError, as they come.

    An exception of another kind, or one thrown in here, as by Ctrl-C, ends the requests under way and goes on up.
    """
    waiting = iter(items)
    pool = ThreadPoolExecutor(job.workers)
    running: dict[Future[Result], Item] = {}
    in_a_row = 0
    last: Exception | None = None
    try:
        while True:
            if in_a_row < HOPELESS:
                running |= {pool.submit(work, i): i for i in islice(waiting, 4 * job.workers - len(running))}
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                item = running.pop(future)
                result = _result(future)
                bad = isinstance(result, DownloadError) and not isinstance(result, GoneError | NoRangesError)
                in_a_row, last = (in_a_row + 1, result) if bad else (0, None)  # type: ignore[assignment]
                yield item, result
        for item in waiting:
            yield item, DownloadError(f"not tried, as the last {in_a_row} requests failed; the last: {last}")
    except BaseException:
        job.web.stop()
        pool.shutdown(cancel_futures=True)
        raise
    finally:
        pool.shutdown()


def _result(future: "Future[Result]") -> Result | Exception:
    try:
        return future.result()
    except ClothsegError as error:
        return error


@contextmanager
def exclusive_lock(out: Path) -> Iterator[None]:
    """Keep a second download out of the same folder.

    Raises:
        DownloadError: one is at work there.
    """
    lock = FileLock(state_folder(out) / "lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise DownloadError(f"{out}: another download is at work in this folder; wait for it to end") from error
    try:
        yield
    finally:
        lock.release()
