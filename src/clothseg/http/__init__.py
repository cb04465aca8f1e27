"""HTTP: requests with retries, and files that are fetched whole, resumed and verified.

`download_file` fetches one file. A program with many requests opens one `HttpClient` and calls `fetch_file`.
Read `client` first: retry policy, status codes, byte ranges. Then `download`: resuming and verifying one file.
`headers` reads single headers.
"""

from clothseg.http.client import (
    CancelledError,
    HttpClient,
    RangesNotSupportedError,
    RemoteFile,
    RetryPolicy,
)
from clothseg.http.download import TransferProgress, download_file, fetch_file, md5_of

__all__ = [
    "CancelledError",
    "HttpClient",
    "RangesNotSupportedError",
    "RemoteFile",
    "RetryPolicy",
    "TransferProgress",
    "download_file",
    "fetch_file",
    "md5_of",
]
