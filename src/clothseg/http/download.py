"""One file from a server to the disk: resumed where it stopped, verified, then moved to its place in one step."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from clothseg.errors import ClothsegError, DownloadError
from clothseg.http.client import AttemptCounter, HttpClient, RemoteFile, RetryableError, RetryPolicy
from clothseg.http.headers import content_length, content_range, is_encoded, stated_md5, validator

# From this size on, the validator is saved on disk, so that another process can resume the file.
_LARGE = 1 << 20
# A file of this size that arrives complete and wrong is fetched once more; a smaller one three times more.
_HUGE = 1 << 26

TransferProgress = Callable[[int, int | None], None]
"""Gets the bytes of the file that exist, and its size where known. The first number falls when a file restarts."""


def download_file(
    url: str,
    path: Path,
    *,
    sha256: str = "",
    progress: TransferProgress | None = None,
    policy: RetryPolicy | None = None,
) -> None:
    """Fetches one file. An incomplete download stays beside `path` as `NAME.part`, and the next call resumes it.

    Args:
        url: http or https.
        path: where the file appears once it is complete and verified.
        sha256: hex digest of the content, or its first digits.
        progress: gets the bytes so far and the size.
        policy: attempts and waits.

    Raises:
        DownloadError: the file cannot be fetched, or its content is wrong each time.
        OSError: the disk cannot be written.
    """
    with HttpClient(policy) as client:
        fetch_file(client, RemoteFile(url), path, sha256=sha256, progress=progress)


def fetch_file(
    client: HttpClient,
    remote: RemoteFile,
    path: Path,
    *,
    part: Path | None = None,
    md5: str = "",
    sha256: str = "",
    check: Callable[[Path], object] | None = None,
    max_bytes: int | None = None,
    progress: TransferProgress | None = None,
) -> str:
    """Fetches a file to `path`, which is either absent or complete and verified.

    An incomplete file is resumed if the server confirms that it is still the same file (`If-Range`), or if `sha256`
    verifies the result. The length and an MD5 that the server states are always verified.

    Args:
        client: sends the requests.
        remote: the file. Its size, where known, must be that of the body.
        path: is replaced if it exists.
        part: the file for the incomplete download, on the same disk; by default `NAME.part` beside `path`.
        md5: hex digest of the content.
        sha256: hex digest of the content, or its first digits.
        check: gets the complete file before it is moved; a ClothsegError means that the content is wrong.
        max_bytes: a longer file is an error.
        progress: gets the bytes so far and the size.

    Returns:
        The MD5 of the content, in hex.

    Raises:
        DownloadError: the file cannot be fetched, or its content is wrong each time.
        OSError: the disk cannot be written.
    """
    part = part or path.with_name(f"{path.name}.part")
    for folder in (path.parent, part.parent):
        folder.mkdir(parents=True, exist_ok=True)
    download = _Download(client, remote, part, md5, sha256, max_bytes, progress)
    download.open()
    spoiled = 0

    def work(attempts: AttemptCounter) -> str:
        nonlocal spoiled
        total, stated = download.receive(attempts)
        size = download.size()
        if total is not None and size < total:
            raise RetryableError(f"{size} of {total} bytes arrived")
        try:
            return download.verify(total, stated, check)
        except RetryableError as error:
            download.discard()
            spoiled += 1
            if spoiled >= (2 if size >= _HUGE else 4):
                raise DownloadError(f"{remote.url}: {error}; the same {spoiled} times") from error
            raise

    found = client.retry(work, remote.url)
    part.replace(path)
    download.note.unlink(missing_ok=True)
    return found


def md5_of(path: Path) -> str:
    """The MD5 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@dataclass
class _Download:
    """One file on its way: what is known about it, and how much of it has arrived."""

    client: HttpClient
    remote: RemoteFile
    part: Path
    md5: str
    sha256: str
    max_bytes: int | None
    progress: TransferProgress | None
    validator: str | None = None
    best: int = 0

    @property
    def note(self) -> Path:
        """The file that keeps the validator."""
        return self.part.with_name(f"{self.part.name}.json")

    def size(self) -> int:
        """Bytes that have arrived."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def open(self) -> None:
        """Takes over what an earlier process left, if it can be resumed."""
        self.validator = _read_validator(self.note)
        if self.validator is None and not self.sha256:
            self.discard()
        self.best = self.size()
        self._report(self.best, self.remote.size)

    def _report(self, done: int, total: int | None) -> None:
        if self.progress is not None:
            self.progress(done, total)

    def discard(self) -> None:
        """Removes what has arrived."""
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        self.validator = None
        self._report(0, self.remote.size)

    def receive(self, attempts: AttemptCounter) -> tuple[int | None, str | None]:
        """Appends the rest of the body to the part. Returns size and MD5 of the whole, where the server says them."""
        size = self.size()
        if self.remote.size is not None and size >= self.remote.size:
            if size == self.remote.size and size:
                return size, None
            self.discard()
            size = 0
        headers = {"Range": f"bytes={size}-"} if size and (self.validator or self.sha256) else {}
        if headers and self.validator:
            headers["If-Range"] = self.validator
        with self.client.get(self.remote.url, headers) as response:
            if (
                response.status_code == 416
                and self.sha256
                and response.headers.get("Content-Range") == f"bytes */{size}"
            ):
                return size, None  # all of it has arrived already; the checksum decides
            total = self._start(response, size)
            if self.remote.size is not None and total is not None and total != self.remote.size:
                raise RetryableError(f"the file had {self.remote.size} bytes, but now the server says {total}")
            if self.max_bytes is not None and (total or 0) > self.max_bytes:
                raise DownloadError(f"{self.remote.url}: {total} bytes, but at most {self.max_bytes} are allowed")
            self._append(response, total, attempts)
            expected = total if total is not None else self.remote.size
            return None if is_encoded(response) else expected, stated_md5(response)

    def _start(self, response: httpx.Response, size: int) -> int | None:
        """Keeps or discards the part, depending on the response. Returns the size of the whole file, where known."""
        if response.status_code == 206 and size:
            first, last, total = content_range(response)
            if first == size and total is not None and last == total - 1:
                return total
            self.discard()
            raise RetryableError(f"sends {response.headers.get('Content-Range', '')!r} for the bytes from {size} on")
        self.discard()
        if response.status_code != 200:
            raise RetryableError(f"status {response.status_code} for the whole file")
        total = content_length(response)
        self.validator = None if is_encoded(response) else validator(response)
        if self.validator and (total is None or total >= _LARGE):
            self.note.write_text(json.dumps({"validator": self.validator}), encoding="utf-8")
        return total

    def _append(self, response: httpx.Response, total: int | None, attempts: AttemptCounter) -> None:
        with self.part.open("ab") as stream:
            for piece in self.client.iter_body(response):
                stream.write(piece)
                self._report(stream.tell(), total)
                if self.max_bytes is not None and stream.tell() > self.max_bytes:
                    raise DownloadError(
                        f"{self.remote.url}: sends more than {self.max_bytes} bytes, which is not allowed"
                    )
                if stream.tell() >= self.best + _LARGE:
                    self.best = stream.tell()
                    attempts.reset()

    def verify(self, total: int | None, stated: str | None, check: Callable[[Path], object] | None) -> str:
        """Verifies the complete part, and returns its MD5.

        Raises:
            RetryableError: length, checksum or content is wrong.
        """
        size = self.size()
        if total is not None and size != total:
            raise RetryableError(f"{size} bytes arrived instead of {total}")
        found = md5_of(self.part)
        for expected in (self.md5, stated):
            if expected and expected != found:
                raise RetryableError(f"the content has the MD5 {found}, but it should be {expected}")
        if self.sha256:
            with self.part.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if not digest.startswith(self.sha256.lower()):
                raise RetryableError(
                    f"the content has the SHA-256 {digest[:16]}..., but it should begin with {self.sha256}"
                )
        if check is not None:
            try:
                check(self.part)
            except ClothsegError as error:
                raise RetryableError(str(error).replace(str(self.part), "the content")) from error
        return found


def _read_validator(note: Path) -> str | None:
    try:
        text = json.loads(note.read_text(encoding="utf-8"))["validator"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return text if isinstance(text, str) else None
