from .client import CancelledError, HttpClient, RangesNotSupportedError, RemoteFile, RetryPolicy
from .download import TransferProgress, download_file, fetch_file, md5_of

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
