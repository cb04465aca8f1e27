"""Remote stores by URL: which file system a URL belongs to, and calls that are tried again after temporary errors."""

import errno
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random

from clothseg.errors import ClothsegError, DataError, DownloadError, GoneError, UnreachableError
from clothseg.http.client import RETRIED_STATUS, RetryPolicy

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

T = TypeVar("T")
_ERRNOS = frozenset({errno.EBUSY, errno.EIO, errno.EAGAIN, errno.ETIMEDOUT, errno.ENETUNREACH, errno.EHOSTUNREACH})
_TEMPORARY = frozenset({"HTTPClientError", "ClientConnectionError", "ClientPayloadError", "TransportError"})
"""Names of the classes of errors of botocore, aiohttp and google-auth after which another attempt may succeed."""
_NO_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError"})
"""The same of botocore where it finds no credentials."""
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}


def filesystem_of(url: str, policy: RetryPolicy | None = None) -> "tuple[AbstractFileSystem, str]":
    """The file system of a URL, and the path there. Listings are not cached: they would stay in memory.

    Raises:
        ClothsegError: a package is missing, or the kind of URL is not known.
        DownloadError: see `with_retries`; some file systems, such as that of FTP, connect at once.
    """
    import fsspec  # noqa: PLC0415 - only who has URLs needs it

    return with_retries(lambda: _opened(fsspec, url), url, policy)


def _opened(fsspec: Any, url: str) -> "tuple[AbstractFileSystem, str]":
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it prints the traceback of what is reported here
    try:
        return _typed(fsspec.core.url_to_fs(url, use_listings_cache=False))
    except ImportError as error:
        package = _PACKAGES.get(url.partition(":")[0].lower(), str(error))
        raise ClothsegError(f'{url}: this needs one more package ({package}): pip install "clothseg[cloud]"') from error
    except ValueError as error:
        raise DataError(f"{url}: unknown kind of address; known are https://, s3://, gs:// and others of fsspec") from (
            error
        )


def _typed(found: Any) -> "tuple[AbstractFileSystem, str]":
    return found[0], str(found[1])


def with_retries(call: Callable[[], T], url: str, policy: RetryPolicy | None = None) -> T:
    """What `call` returns; after a temporary error of the network it is tried again, with growing waits.

    Args:
        call: reads, writes or lists something at the URL.
        url: for messages.
        policy: attempts and waits.

    Raises:
        UnreachableError: every attempt failed.
        GoneError: there is no such file.
        DownloadError: the store refuses it for another reason.
    """
    policy = policy or RetryPolicy()
    waits = wait_exponential(multiplier=policy.initial_wait, max=policy.max_wait) + wait_random(0, policy.initial_wait)
    attempts = Retrying(
        retry=retry_if_exception(is_temporary), stop=stop_after_attempt(policy.attempts), wait=waits, reraise=True
    )
    try:
        return attempts(call)
    except ClothsegError:
        raise
    except FileNotFoundError as error:
        if is_temporary(error):
            raise _unreachable(url, policy, error.__cause__ or error) from error
        raise GoneError(f"{url}: there is nothing at this address; check it") from error
    except PermissionError as error:
        raise DownloadError(f"{url}: no permission; check the credentials and the rights of the store") from error
    except Exception as error:  # the libraries of the stores have many types
        if is_temporary(error):
            raise _unreachable(url, policy, error) from error
        if any(kind.__name__ in _NO_CREDENTIALS for kind in type(error).__mro__):
            raise DownloadError(
                f"{url}: there are no credentials for this store; set them as its own tools take them, such as "
                "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from error
        raise DownloadError(f"{url}: {_reason(error)}") from error


def _unreachable(url: str, policy: RetryPolicy, error: BaseException) -> UnreachableError:
    return UnreachableError(f"{url}: failed after {policy.attempts} attempts ({_reason(error)})")


def is_temporary(error: BaseException) -> bool:
    """Whether another attempt may succeed: a broken connection, a timeout, or a server that is too busy."""
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:  # fsspec's for every failure of HTTP
        return is_temporary(error.__cause__)
    if isinstance(error, FileNotFoundError | PermissionError):
        return False
    for name in ("status", "code"):
        status = getattr(error, name, None)
        if isinstance(status, int) and status >= 100:
            return status in RETRIED_STATUS
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if any(kind.__name__ in _TEMPORARY for kind in type(error).__mro__):
        return True
    return isinstance(error, OSError) and error.errno in _ERRNOS


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
