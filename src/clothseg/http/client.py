"""Requests with retries: which errors are retried, how long to wait, and what a server says about a file.

All requests go through one `httpx.Client`, whose connections the worker threads share.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential, wait_random

from clothseg import __version__
from clothseg.errors import ClothsegError, DownloadError, GoneError, UnreachableError
from clothseg.http.headers import content_length, content_range, is_encoded, retry_after, validator

RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_PIECE_BYTES = 1 << 16
T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How often a request is tried, and how long to wait between the attempts. Times are in seconds.

    Attributes:
        attempts: attempts for one request, or for one file as long as no more of it arrives.
        timeout: the longest time without a single byte.
        initial_wait: the wait before the second attempt. It doubles with each attempt, and a random part is added.
        max_wait: the longest wait between two attempts.
        max_retry_after: the longest `Retry-After` that is respected. A server that asks for more is an error.
    """

    attempts: int = 6
    timeout: float = 30.0
    initial_wait: float = 0.5
    max_wait: float = 60.0
    max_retry_after: float = 600.0


@dataclass(frozen=True)
class RemoteFile:
    """What a server says about a file.

    Attributes:
        url: its address.
        size: bytes of the body, or None where the server does not say it.
        ranges: whether the server supports byte ranges for it.
        validator: a strong ETag or a date for `If-Range`, or None.
    """

    url: str
    size: int | None = None
    ranges: bool = True
    validator: str | None = None


class RetryableError(Exception):
    """The response failed, but the next one may succeed. `wait` is the server's `Retry-After` in seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class RangesNotSupportedError(DownloadError):
    """The server answers a range request with something else."""


class CancelledError(DownloadError):
    """The client was cancelled while a request was running."""


class AttemptCounter:
    """Counts failed attempts. A download that makes progress may `reset` it, so that a slow line is no failure."""

    def __init__(self, allowed: int) -> None:
        self._allowed, self._left = allowed, allowed

    def reset(self) -> None:
        """Makes all attempts available again."""
        self._left = self._allowed

    def is_used_up(self, _: RetryCallState) -> bool:
        """Counts one more failure, and returns whether it was the last attempt."""
        self._left -= 1
        return self._left <= 0


class HttpClient:
    """Sends requests with retries. A context manager; safe to use from several threads.

    Attributes:
        policy: attempts and waits.
        requests: number of responses so far.
        received: bytes of their bodies.
    """

    def __init__(self, policy: RetryPolicy | None = None, workers: int = 1) -> None:
        self.policy = policy or RetryPolicy()
        self.requests = 0
        self.received = 0
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._not_before = 0.0
        self._client = httpx.Client(
            limits=httpx.Limits(max_connections=workers + 1, max_keepalive_connections=workers + 1),
            timeout=httpx.Timeout(self.policy.timeout, pool=None),
            follow_redirects=True,
            # A compressed body has another length and other ranges than the file.
            headers={"User-Agent": f"clothseg/{__version__}", "Accept-Encoding": "identity"},
        )

    def __enter__(self) -> "HttpClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def cancel(self) -> None:
        """Ends every running request and wait at its next step. They raise CancelledError."""
        self._cancelled.set()

    def retry(self, work: Callable[[AttemptCounter], T], url: str, attempts: int | None = None) -> T:
        """Calls `work` until it succeeds, with growing waits. RetryableError and broken connections are retried.

        Args:
            work: gets the counter of attempts.
            url: for the error messages.
            attempts: instead of those of the policy.

        Raises:
            UnreachableError: every attempt failed. The message has the last reason.
        """
        allowed = attempts or self.policy.attempts
        counter = AttemptCounter(allowed)
        initial = self.policy.initial_wait
        growing = wait_exponential(multiplier=initial, max=self.policy.max_wait) + wait_random(0, initial)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            server_wait = error.wait if isinstance(error, RetryableError) else None
            return max(server_wait or 0.0, growing(state))

        retrying = Retrying(
            retry=retry_if_exception_type((RetryableError, httpx.TransportError)),
            stop=counter.is_used_up,
            wait=wait,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(work, counter)
        except (RetryableError, httpx.TransportError) as error:
            raise UnreachableError(f"{url}: failed after {allowed} attempts: {_reason(error)}") from error
        except (ClothsegError, OSError):  # an OSError is of the disk: those of the network are TransportErrors
            raise
        except Exception as error:  # an address or header that httpx or an encoding cannot read
            raise DownloadError(f"{url}: the server's answer cannot be read ({_reason(error)})") from error

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[httpx.Response]:
        """Yields a response with status 200, 206 or 416, before its body is read.

        Raises:
            GoneError: status 401, 403, 404 or 410.
            RetryableError: one of `RETRIED_STATUS`.
            DownloadError: any other status, or the address is not of the web.
        """
        self._sleep(self._not_before - time.monotonic())
        try:
            with self._client.stream("GET", url, headers=headers) as response:
                with self._lock:
                    self.requests += 1
                self._check_status(response, url)
                yield response
        except httpx.UnsupportedProtocol as error:  # a redirect can be wrong too; another attempt is of no use
            raise DownloadError(f"{url}: it is, or leads to, an address that is not of the web ({error})") from error

    def iter_body(self, response: httpx.Response) -> Iterator[bytes]:
        """Yields the body piece by piece, and counts its bytes. A compressed body is unpacked."""
        pieces = response.iter_bytes(_PIECE_BYTES) if is_encoded(response) else response.iter_raw(_PIECE_BYTES)
        for piece in pieces:
            if self._cancelled.is_set():
                raise CancelledError(f"{response.url}: cancelled")
            with self._lock:
                self.received += len(piece)
            yield piece

    def read(self, url: str, max_bytes: int) -> bytes:
        """Returns the whole body at `url`.

        Raises:
            GoneError: there is no such file.
            DownloadError: the server does not answer, or sends more than `max_bytes`.
        """

        def ask(_: AttemptCounter) -> bytes:
            data = bytearray()
            with self.get(url) as response:
                for piece in self.iter_body(response):
                    data += piece
                    if len(data) > max_bytes:
                        raise DownloadError(f"{url}: larger than {max_bytes >> 20} MB")
            return bytes(data)

        return self.retry(ask, url)

    def probe(self, url: str, attempts: int | None = None) -> RemoteFile:
        """Asks for the first byte to learn size, range support and validator of a file.

        Raises:
            GoneError: there is no such file.
            DownloadError: the server does not answer.
        """

        def ask(_: AttemptCounter) -> RemoteFile:
            with self.get(url, {"Range": "bytes=0-0"}) as response:
                if response.status_code == 206 and not is_encoded(response):
                    total = content_range(response)[2]
                    b"".join(self.iter_body(response))  # one byte; then the connection can be used again
                    return RemoteFile(url, total, total is not None, validator(response))
                if response.status_code == 416:
                    return RemoteFile(url, 0, False, None)
                return RemoteFile(url, content_length(response), False, validator(response))

        return self.retry(ask, url, attempts)

    def probe_first(self, urls: Sequence[str]) -> RemoteFile:
        """Probes `urls` in order and returns the first file that exists.

        Raises:
            GoneError: none exists. The message is about the first address.
        """
        gone: GoneError | None = None
        for url in urls:
            try:
                return self.probe(url)
            except GoneError as error:
                gone = gone or error
        raise gone or DownloadError("no address to fetch from")

    def read_range(self, remote: RemoteFile, start: int, stop: int) -> bytes:
        """Returns the bytes from `start` up to but not including `stop`.

        Raises:
            RangesNotSupportedError: the server sends another range, or the whole file.
            DownloadError: the request fails, or the file has changed since it was probed.
        """

        def ask(_: AttemptCounter) -> bytes:
            with self.get(remote.url, {"Range": f"bytes={start}-{stop - 1}"}) as response:
                if response.status_code != 206 or is_encoded(response):
                    raise RangesNotSupportedError(f"{remote.url}: status {response.status_code} for a range request")
                if content_range(response) != (start, stop - 1, remote.size):
                    sent = response.headers.get("Content-Range", "")
                    raise RangesNotSupportedError(
                        f"{remote.url}: sends {sent!r} for bytes {start}-{stop - 1}/{remote.size}"
                    )
                if remote.validator and validator(response) != remote.validator:
                    raise DownloadError(f"{remote.url}: the file changed during the download; run it again")
                data = bytearray()
                for piece in self.iter_body(response):
                    data += piece
                    if len(data) > stop - start:
                        break
            if len(data) != stop - start:
                raise RetryableError(f"a range of {stop - start} bytes arrived with {len(data)} bytes")
            return bytes(data)

        return self.retry(ask, remote.url)

    def _check_status(self, response: httpx.Response, url: str) -> None:
        status = response.status_code
        if status in (200, 206, 416):
            return
        message = f"status {status} {response.reason_phrase}".strip()
        if status not in RETRIED_STATUS:
            raise (GoneError if status in (401, 403, 404, 410) else DownloadError)(f"{url}: {message}")
        seconds = retry_after(response)
        if seconds is not None and seconds > self.policy.max_retry_after:
            raise DownloadError(f"{url}: {message}; the server asks to wait {seconds:.0f} s; run it again after that")
        if status == 429 and seconds:
            with self._lock:  # the limit of the server is for all requests, not for this one
                self._not_before = max(self._not_before, time.monotonic() + seconds)
        raise RetryableError(message, seconds)

    def _sleep(self, seconds: float) -> None:
        if self._cancelled.wait(max(seconds, 0.0)):
            raise CancelledError("cancelled")


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
