"""One file from the network to the disk: with progress, gone on with where it stopped, checked, then put in place."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from clothseg.errors import WeightsError
from clothseg.files import replace_file

Progress = Callable[[int, int | None], None]
"""Told the bytes that are there and, where it is known, how many there will be."""

CHUNK = 1 << 20
ATTEMPTS = 4


def download(url: str, path: Path, sha256: str = "", progress: Progress | None = None, *, wait: float = 1.0) -> None:
    """Fetch `url` to `path`. What was fetched of it stays beside it in `NAME.part` until all of it is there.

    Args:
        url: http or https.
        path: of the file; appears whole or not at all.
        sha256: the content's, or its first digits.
        progress: told how far it is.
        wait: seconds before the second of several attempts; the pauses double.

    Raises:
        WeightsError: the network or the server refuse, or the content is not what it should be.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        attempts = Retrying(
            retry=retry_if_exception_type(httpx.TransportError),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=wait, max=30),
            reraise=True,
        )
        attempts(_fetch, url, part, progress)
    except (httpx.HTTPError, OSError) as error:
        kept = f" What is there already ({part}) is gone on with." if part.is_file() else ""
        raise WeightsError(
            f"{url} cannot be fetched ({error or type(error).__name__}). With another machine's help: fetch it there "
            f"and put it here as {path}, or give its path instead of the name.{kept}"
        ) from error
    found = _digest(part)
    if not found.startswith(sha256):
        part.unlink()
        raise WeightsError(
            f"{url}: what came has the SHA-256 {found[:16]}..., but it should begin with {sha256}; try again, "
            "and do not trust a file that was fetched otherwise"
        )
    replace_file(part, path)


def _fetch(url: str, part: Path, progress: Progress | None) -> None:
    there = part.stat().st_size if part.is_file() else 0
    headers = {"Range": f"bytes={there}-"} if there else {}
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=30) as answer:
        if there and answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            if answer.headers.get("Content-Range", "") == f"bytes */{there}":
                return
            part.unlink()  # it is longer than the file, so it is of another one
            raise httpx.ReadError("the part that was there does not belong to this file")
        answer.raise_for_status()
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            there = 0
        length = answer.headers.get("Content-Length")
        total = there + int(length) if length else None
        with part.open("ab" if there else "wb") as file:
            for chunk in answer.iter_bytes(CHUNK):
                file.write(chunk)
                there += len(chunk)
                if progress:
                    progress(there, total)
    if total is not None and there != total:
        raise httpx.ReadError(f"{there} of {total} bytes came")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
