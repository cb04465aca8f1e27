"""Requests that are tried again: what is worth another try, how long to wait, and what a server says of a file.

Everything goes through one `httpx.Client`, whose connections the worker threads share.
"""

import email.utils
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential, wait_random

from clothseg import __version__
from clothseg.errors import DownloadError, GoneError

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK = 1 << 16
T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How long a server is borne with. Times in seconds.

    Attributes:
        attempts: tries of one request, or of one file without getting further.
        timeout: without a single byte.
        first_wait: before the second try; doubled from try to try, with some randomness added.
        longest_wait: between tries.
        longest_asked: the longest `Retry-After` that is obeyed; a server that asks for more is given up.
    """

    attempts: int = 6
    timeout: float = 30.0
    first_wait: float = 0.5
    longest_wait: float = 60.0
    longest_asked: float = 600.0


@dataclass(frozen=True)
class Remote:
    """What a server says of a file. `validator` is a strong ETag or a date that `If-Range` takes."""

    url: str
    size: int | None
    ranges: bool
    validator: str | None


class TryAgain(Exception):  # noqa: N818 - not shown to anybody
    """An answer that may be right the next time; `wait` in seconds is what the server asked for."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class NoRangesError(DownloadError):
    """The server answers a range request with something else than that range."""


class StoppedError(DownloadError):
    """The work was stopped by hand while this request was under way."""


class Attempts:
    """Counts tries. Work that got further may `reset` it: a large file over a bad line has more than six chances."""

    def __init__(self, allowed: int) -> None:
        self._allowed, self._left = allowed, allowed

    def reset(self) -> None:
        """All tries are left again."""
        self._left = self._allowed

    def used_up(self, _: RetryCallState) -> bool:
        """Count one more failure."""
        self._left -= 1
        return self._left <= 0


class Web:
    """One place for all requests; safe to use from several threads. A context manager.

    Attributes:
        requests: answers that came.
        received: bytes of their bodies.
    """

    def __init__(self, retry_policy: RetryPolicy, workers: int) -> None:
        self.retry_policy = retry_policy
        self.requests = 0
        self.received = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._not_before = 0.0
        self._client = httpx.Client(
            limits=httpx.Limits(max_connections=workers + 1, max_keepalive_connections=workers + 1),
            timeout=httpx.Timeout(retry_policy.timeout, pool=None),
            follow_redirects=True,
            # A compressed answer would have other lengths and ranges than the file.
            headers={"User-Agent": f"clothseg/{__version__}", "Accept-Encoding": "identity"},
        )

    def __enter__(self) -> "Web":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def stop(self) -> None:
        """End every request and wait at its next step; they raise StoppedError."""
        self._stopped.set()

    def retried(self, work: Callable[[Attempts], T], url: str, most: int | None = None) -> T:
        """Do `work` until it neither raises TryAgain nor breaks off, with growing waits.

        Raises:
            DownloadError: it did so too often; the message tells the last reason.
        """
        allowed = most or self.retry_policy.attempts
        attempts = Attempts(allowed)
        first, longest = self.retry_policy.first_wait, self.retry_policy.longest_wait
        growing = wait_exponential(multiplier=first, max=longest) + wait_random(0, first)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.wait if isinstance(error, TryAgain) else None
            return max(asked or 0.0, growing(state))

        retrying = Retrying(
            retry=retry_if_exception_type((TryAgain, httpx.TransportError)),
            stop=attempts.used_up,
            wait=wait,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(work, attempts)
        except (TryAgain, httpx.TransportError) as error:
            raise DownloadError(f"{url}: given up after {allowed} tries: {_why(error)}") from error
        except (httpx.InvalidURL, httpx.HTTPError) as error:
            raise DownloadError(f"{url}: {_why(error)}") from error

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[httpx.Response]:
        """An answer with status 200, 206 or 416, its body still to come.

        Raises:
            GoneError: 404 and its like.
            TryAgain: a status that may pass.
            DownloadError: any other status.
        """
        self._sleep(self._not_before - time.monotonic())
        with self._client.stream("GET", url, headers=headers) as response:
            with self._lock:
                self.requests += 1
            self._check(response, url)
            yield response

    def body(self, response: httpx.Response) -> Iterator[bytes]:
        """The body piece by piece, counted; compressed only if the server would not have it otherwise."""
        pieces = response.iter_bytes(_CHUNK) if is_encoded(response) else response.iter_raw(_CHUNK)
        for piece in pieces:
            if self._stopped.is_set():
                raise StoppedError(f"{response.url}: stopped")
            with self._lock:
                self.received += len(piece)
            yield piece

    def probe(self, url: str, *, patient: bool = True) -> Remote:
        """Size, range support and validator, by asking for the first byte alone; only once if not `patient`."""

        def ask(_: Attempts) -> Remote:
            with self.get(url, {"Range": "bytes=0-0"}) as response:
                if response.status_code == 206 and not is_encoded(response):
                    total = content_range(response)[2]
                    b"".join(self.body(response))  # one byte; so the connection can be used again
                    return Remote(url, total, total is not None, validator(response))
                if response.status_code == 416:
                    return Remote(url, 0, False, None)
                return Remote(url, content_length(response), False, validator(response))

        return self.retried(ask, url, None if patient else 1)

    def first_of(self, urls: tuple[str, ...]) -> Remote:
        """The first of `urls` that is there.

        Raises:
            GoneError: none is; it tells of the first.
        """
        gone: GoneError | None = None
        for url in urls:
            try:
                return self.probe(url)
            except GoneError as error:
                gone = gone or error
        raise gone or DownloadError("no address to fetch from")

    def part(self, remote: Remote, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` (not included) of a file.

        Raises:
            NoRangesError: the server sends another range or the whole file.
            DownloadError: it fails, or the file is no longer the one that was probed.
        """

        def ask(_: Attempts) -> bytes:
            with self.get(remote.url, {"Range": f"bytes={start}-{stop - 1}"}) as response:
                if response.status_code != 206 or is_encoded(response):
                    raise NoRangesError(f"{remote.url}: answers a range with status {response.status_code}")
                if content_range(response) != (start, stop - 1, remote.size):
                    told = response.headers.get("Content-Range", "")
                    raise NoRangesError(f"{remote.url}: sends {told!r} for bytes {start}-{stop - 1}/{remote.size}")
                if remote.validator and validator(response) != remote.validator:
                    raise DownloadError(f"{remote.url}: the file was changed while it was read; run it again")
                data = bytearray()
                for piece in self.body(response):
                    data += piece
                    if len(data) > stop - start:
                        break
            if len(data) != stop - start:
                raise TryAgain(f"a range of {stop - start} bytes came with {len(data)}")
            return bytes(data)

        return self.retried(ask, remote.url)

    def _check(self, response: httpx.Response, url: str) -> None:
        status = response.status_code
        if status in (200, 206, 416):
            return
        told = f"status {status} {response.reason_phrase}".strip()
        if status not in _PASSING:
            kind = GoneError if status in (401, 403, 404, 410) else DownloadError
            raise kind(f"{url}: {told}")
        asked = retry_after(response)
        if asked is not None and asked > self.retry_policy.longest_asked:
            raise DownloadError(f"{url}: {told}; the server asks to wait {asked:.0f} s, so run it again then")
        if status == 429 and asked:
            with self._lock:  # the server speaks of all requests, not of this one
                self._not_before = max(self._not_before, time.monotonic() + asked)
        raise TryAgain(told, asked)

    def _sleep(self, seconds: float) -> None:
        if self._stopped.wait(max(seconds, 0.0)):
            raise StoppedError("stopped")


def retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait by the header `Retry-After`, which holds a number or a date."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return None


def content_length(response: httpx.Response) -> int | None:
    """The length of the body in bytes, where the server says it."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdigit() and not is_encoded(response) else None


def content_range(response: httpx.Response) -> tuple[int, int, int | None]:
    """First and last byte and size of the whole, by the header `Content-Range`; (-1, -1, None) where it is wrong."""
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if not found:
        return -1, -1, None
    first, last, total = found.groups()
    return int(first), int(last), None if total == "*" else int(total)


def validator(response: httpx.Response) -> str | None:
    """What tells this version of a file from others, in a form that `If-Range` takes: not a weak ETag."""
    etag: str = response.headers.get("ETag", "")
    if etag.startswith('"'):
        return etag
    return response.headers.get("Last-Modified") or None


def is_encoded(response: httpx.Response) -> bool:
    """Whether the body is compressed although that was not asked for."""
    return str(response.headers.get("Content-Encoding", "identity")).lower() != "identity"


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
