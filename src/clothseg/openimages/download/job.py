"""What the stages of a download share, and the threads that they run on."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from filelock import FileLock, Timeout

from clothseg.errors import ClothsegError, DownloadError, GoneError
from clothseg.http import HttpClient, RangesNotSupportedError, TransferProgress
from clothseg.openimages.download.ledger import Ledger
from clothseg.openimages.download.plan import Failure
from clothseg.openimages.download.sources import Publisher

# After this many failures in a row that come from the line or the server, a stage gives up.
MAX_FAILURES_IN_A_ROW = 24
Item = TypeVar("Item")
Result = TypeVar("Result")

Advance = Callable[[int], None]
"""Moves a progress bar by a number of files or bytes; the number is negative when a file restarts."""


class OpenBar(Protocol):
    """Opens a progress bar for `total` files or bytes; a total of 0 means that it is unknown."""

    def __call__(self, text: str, total: int, *, in_bytes: bool) -> AbstractContextManager[Advance]:
        """Shows the bar inside the context."""
        ...


@dataclass
class DownloadJob:
    """One run: the folder, the servers, and what has failed so far.

    Attributes:
        out: folder for the files.
        client: sends the requests.
        publisher: knows the addresses.
        ledger: the files that are verified already.
        workers: number of threads.
        open_bar: opens progress bars.
        failed: what has failed so far.
    """

    out: Path
    client: HttpClient
    publisher: Publisher
    ledger: Ledger
    workers: int
    open_bar: OpenBar
    failed: list[Failure] = field(default_factory=list)

    @property
    def parts(self) -> Path:
        """The folder for incomplete files."""
        return state_folder(self.out) / "parts"


def state_folder(out: Path) -> Path:
    """The folder in which a download keeps its own notes."""
    return out / ".download"


def part_file(parts: Path, path: Path) -> Path:
    """The place of the incomplete file for `path` in the folder `parts`."""
    return parts / f"{path.parent.name}__{path.name}.part"


def as_progress(advance: Advance) -> TransferProgress:
    """Adapts a bar that takes steps to a download that reports its bytes so far."""
    shown = 0

    def progress(done: int, total: int | None) -> None:
        nonlocal shown
        if done != shown:
            advance(done - shown)
            shown = done

    return progress


def map_concurrently(
    job: DownloadJob, items: Iterable[Item], work: Callable[[Item], Result]
) -> Iterator[tuple[Item, Result | Exception]]:
    """Calls `work` for all items, several at a time. Yields each item with its result or its ClothsegError.

    The order is that of completion. Any other exception, such as KeyboardInterrupt, cancels the running requests and
    is raised.
    """
    pending = iter(items)
    pool = ThreadPoolExecutor(job.workers)
    running: dict[Future[Result], Item] = {}
    failures = 0
    last: Exception | None = None
    try:
        while True:
            if failures < MAX_FAILURES_IN_A_ROW:
                running |= {_submit(pool, work, i): i for i in islice(pending, 4 * job.workers - len(running))}
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                item = running.pop(future)
                result = _result(future)
                if isinstance(result, DownloadError) and not isinstance(result, GoneError | RangesNotSupportedError):
                    failures, last = failures + 1, result
                else:
                    failures, last = 0, None
                yield item, result
        for item in pending:
            yield item, DownloadError(f"not tried, because the last {failures} requests failed; the last: {last}")
    except BaseException:
        job.client.cancel()
        pool.shutdown(cancel_futures=True)
        raise
    finally:
        pool.shutdown()


def _submit(pool: ThreadPoolExecutor, work: Callable[[Item], Result], item: Item) -> "Future[Result]":
    try:
        return pool.submit(work, item)
    except RuntimeError as error:
        raise DownloadError(f"the system has no thread left ({error}); download with fewer --workers") from error


def _result(future: "Future[Result]") -> Result | Exception:
    try:
        return future.result()
    except ClothsegError as error:
        return error


@contextmanager
def exclusive_lock(out: Path) -> Iterator[None]:
    """Keeps a second download out of the same folder.

    Raises:
        DownloadError: another download is running there.
    """
    lock = FileLock(state_folder(out) / "lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise DownloadError(f"{out}: another download is running in this folder; wait until it ends") from error
    try:
        yield
    finally:
        lock.release()
