"""Photos of a dataset, read before they are needed."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from clothseg.cores import usable_cores
from clothseg.dataset.coco import CocoLikeDataset
from clothseg.errors import DataError, PhotoError
from clothseg.photos import RgbImage

MOST_THREADS = 4


def read_ahead(dataset: CocoLikeDataset, threads: int | None = None) -> Iterator[RgbImage | PhotoError | DataError]:
    """The photos of a prepared dataset in their order: `[H, W, 3]` uint8 RGB, or the error of one that cannot be read.

    Threads read the next ones while the caller works on one; each has at most one photo and the next in memory.

    Args:
        dataset: prepared.
        threads: how many; by default one less than there are cores, from 1 to `MOST_THREADS`.
    """

    def load(position: int) -> RgbImage | PhotoError | DataError:
        try:
            return dataset.load_image(position)
        except (PhotoError, DataError) as error:
            return error

    threads = threads or max(1, min(MOST_THREADS, usable_cores() - 1))
    pool = ThreadPoolExecutor(threads, "photos")
    started: deque[Future[RgbImage | PhotoError | DataError]] = deque()
    try:
        for position in range(len(dataset.images)):
            started.append(pool.submit(load, position))
            if len(started) > 2 * threads:
                yield started.popleft().result()
        while started:
            yield started.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
