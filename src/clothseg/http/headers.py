"""The headers of a response that downloads depend on. Source: RFC 9110, HTTP Semantics."""

import base64
import email.utils
import re
import time

import httpx

_NUMBER = re.compile("[0-9]{1,18}")  # `str.isdigit` would accept digits that `int` does not


def retry_after(response: httpx.Response) -> float | None:
    """The seconds of the header `Retry-After`, which has a number or a date; None without one."""
    text = response.headers.get("Retry-After", "").strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError, OSError):  # no date, or one that this system cannot express
        return None


def content_length(response: httpx.Response) -> int | None:
    """The length of the body in bytes, or None where the server does not say it."""
    text = response.headers.get("Content-Length", "")
    return int(text) if _NUMBER.fullmatch(text) and not is_encoded(response) else None


def content_range(response: httpx.Response) -> tuple[int, int, int | None]:
    """First byte, last byte and size of the whole file from `Content-Range`; (-1, -1, None) if it is invalid."""
    found = re.fullmatch(
        r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", response.headers.get("Content-Range", "").strip()
    )
    if not found:
        return -1, -1, None
    first, last, total = found.groups()
    return int(first), int(last), None if total == "*" else int(total)


def validator(response: httpx.Response) -> str | None:
    """A value for `If-Range` that identifies this version of a file: a strong ETag or a date, never a weak ETag."""
    etag: str = response.headers.get("ETag", "")
    if etag.startswith('"'):
        return etag
    return response.headers.get("Last-Modified") or None


def is_encoded(response: httpx.Response) -> bool:
    """Whether the body is compressed, although the request forbids it."""
    return str(response.headers.get("Content-Encoding", "identity")).lower() != "identity"


def stated_md5(response: httpx.Response) -> str | None:
    """The MD5 of the whole file in hex, if the server is known to send it; else None.

    Google Cloud Storage sends `x-goog-hash`. Amazon S3 sends it as ETag, except for multipart uploads and some
    encryptions. The ETag of any other server may look like an MD5 without being one.
    """
    texts = [t.strip() for t in response.headers.get("x-goog-hash", "").split(",")]
    texts = [t.removeprefix("md5=") for t in texts if t.startswith("md5=")]
    if response.status_code == 200 and "Content-MD5" in response.headers:
        texts.append(response.headers["Content-MD5"])
    for text in texts:
        try:
            return base64.b64decode(text, validate=True).hex()
        except ValueError:  # not Base64, or not even ASCII
            continue
    etag = response.headers.get("ETag", "").strip('"')
    from_s3 = response.headers.get("Server") == "AmazonS3" and "kms" not in response.headers.get(
        "x-amz-server-side-encryption", ""
    )
    return etag if from_s3 and re.fullmatch("[0-9a-f]{32}", etag) else None
