"""Reads the photos of a catalogue from disk, web addresses and remote stores, before they are needed."""

import io
import itertools
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from PIL import Image

from clothseg.catalogue.names import is_http, is_url, local_path
from clothseg.catalogue.remote import filesystem_of, with_retries
from clothseg.catalogue.shards import CataloguePhoto
from clothseg.cores import usable_cores
from clothseg.errors import ClothsegError, PhotoError, UnreachableError
from clothseg.http.client import RetryPolicy
from clothseg.photos import RgbImage, decode_picture, formats_that_are_read, photo_errors, read_photo

if TYPE_CHECKING:
    from clothseg.http import HttpClient

T = TypeVar("T")
MAX_BYTES = 1 << 28
"""Of a photo on a remote store; a larger file is refused before it fills the memory."""
_REMOTE_THREADS = 8


class UnreachablePhoto(PhotoError):  # noqa: N818 - the photo is what cannot be reached
    """A photo whose store did not answer. It may answer later."""


class PhotoReader:
    """Reads photos by path or URL. A context manager; safe to use from several threads."""

    def __init__(self, policy: RetryPolicy | None = None) -> None:
        self._policy = policy
        self._stack, self._lock = ExitStack(), threading.Lock()
        self._client: HttpClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read(self, photo: CataloguePhoto) -> RgbImage:
        """The photo as RGB `[H, W, 3]` uint8, upright.

        Raises:
            UnreachablePhoto: its store does not answer.
            PhotoError: it does not exist, or cannot be read.
        """
        if not photo.place:
            raise PhotoError("the list names no photo here")
        if not is_url(photo.place):
            return read_photo(Path(local_path(photo.place)))
        try:
            content = self._fetch(photo.place)
        except UnreachableError as error:
            raise UnreachablePhoto(str(error)) from error
        except ClothsegError as error:
            raise PhotoError(str(error)) from error
        with photo_errors(photo.place, content):
            if not content:
                raise PhotoError(f"{photo.place}: the file is empty (0 bytes)")
            with Image.open(io.BytesIO(content), formats=formats_that_are_read()) as picture:
                return decode_picture(picture, upright=True)

    def try_read(self, photo: CataloguePhoto) -> RgbImage | PhotoError:
        """Reads a photo, or returns the error."""
        try:
            return self.read(photo)
        except PhotoError as error:
            return error

    def _fetch(self, url: str) -> bytes:
        if is_http(url):
            return self._http_client().read(url, MAX_BYTES)
        files, path = filesystem_of(url, self._policy)
        size = with_retries(lambda: files.size(path), url, self._policy)
        if size is not None and size > MAX_BYTES:
            raise PhotoError(f"{url}: larger than {MAX_BYTES >> 20} MB")
        content: bytes = with_retries(lambda: files.cat_file(path), url, self._policy)
        return content

    def _http_client(self) -> "HttpClient":
        from clothseg.http import HttpClient  # noqa: PLC0415 - a tenth of a second

        with self._lock:
            if self._client is None:
                self._client = self._stack.enter_context(HttpClient(self._policy, workers=_REMOTE_THREADS))
            return self._client


def read_ahead(
    reader: PhotoReader, photos: Sequence[CataloguePhoto]
) -> Iterator[tuple[CataloguePhoto, RgbImage | PhotoError]]:
    """Yields photos in their order, each with its pixels or the reason why it cannot be read.

    Threads read the next ones; each has at most one photo and the next in memory. Remote photos get more threads than
    there are cores, because they are waited for.
    """
    remote = any(is_url(photo.place) for photo in photos)
    threads = _REMOTE_THREADS if remote else max(1, usable_cores() - 1)
    pool = ThreadPoolExecutor(threads, "photos")
    started: deque[tuple[CataloguePhoto, Future[RgbImage | PhotoError]]] = deque()
    try:
        for photo in photos:
            started.append((photo, pool.submit(reader.try_read, photo)))
            if len(started) > 2 * threads:
                first, future = started.popleft()
                yield first, future.result()
        while started:
            first, future = started.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def in_groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yields the items in lists of `size`; the last list may be shorter."""
    rest = iter(items)
    while group := list(itertools.islice(rest, size)):
        yield group
