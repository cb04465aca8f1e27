"""A whole file from the web to its place: continued where it broke off, checked, and then put there in one step."""

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from clothseg.errors import ClothsegError, DownloadError
from clothseg.files import replace_file
from clothseg.openimages.download.ledger import md5_of
from clothseg.openimages.download.web import (
    Attempts,
    Remote,
    TryAgain,
    Web,
    content_length,
    content_range,
    is_encoded,
    validator,
)

# From this size on, what a server said of the file is kept on disk, to continue after the program was killed.
_LARGE = 1 << 20
# A file of this size that came whole and wrong is fetched once more, not again and again.
_HUGE = 1 << 26
Advance = Callable[[int], None]


@dataclass
class _State:
    """How far one file has come."""

    part: Path
    validator: str | None = None
    best: int = 0
    spoilt: int = 0

    @property
    def note(self) -> Path:
        """Where the validator is kept."""
        return self.part.with_name(f"{self.part.name}.json")

    def size(self) -> int:
        """Bytes that are there."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def discard(self) -> None:
        """Begin from nothing."""
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        self.validator = None


def fetch_file(
    web: Web,
    remote: Remote,
    path: Path,
    parts: Path,
    *,
    md5: str | None = None,
    check: Callable[[Path], object] | None = None,
    limit: int | None = None,
    advance: Advance = lambda _: None,
) -> str:
    """Fetch a file to `path`, which is only ever there whole.

    Args:
        web: does the requests.
        remote: the file. Its size, where known, must be that of the body.
        path: replaced if it is there.
        parts: folder for what has come so far, on the same disk.
        md5: what the whole must have, in hex; besides, what the server itself states is compared.
        check: looks into the file; a ClothsegError of it means that the file is not right.
        limit: bytes that the file may have at most.
        advance: is told of every piece, in bytes; of less than nothing where the file begins anew.

    Returns:
        The MD5, in hex.

    Raises:
        DownloadError: it could not be fetched, or what came was wrong each time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    parts.mkdir(parents=True, exist_ok=True)
    state = _State(parts / f"{path.parent.name}__{path.name}.part")
    state.validator = _noted(state.note)
    if state.validator is None:
        state.discard()
    state.best = state.size()
    advance(state.best)

    def work(attempts: Attempts) -> str:
        total, stated = _receive(web, remote, state, attempts, limit, advance)
        size = state.size()
        if total is not None and size < total:
            raise TryAgain(f"{size} bytes came of {total}")
        try:
            return _verify(state.part, total, {md5, stated} - {None}, check)
        except TryAgain as error:
            advance(-size)
            state.discard()
            state.spoilt += 1
            if state.spoilt >= (2 if size >= _HUGE else 4):
                raise DownloadError(f"{remote.url}: {error}, each of {state.spoilt} times") from error
            raise

    found = web.retried(work, remote.url)
    replace_file(state.part, path)
    state.note.unlink(missing_ok=True)
    return found


def _receive(
    web: Web, remote: Remote, state: _State, attempts: Attempts, limit: int | None, advance: Advance
) -> tuple[int | None, str | None]:
    """Add the rest of the body to the part. Returns size of the whole and MD5, as far as the server tells them."""
    there = state.size()
    if remote.size is not None and there >= remote.size:
        if there == remote.size and there:
            return remote.size, None
        advance(-there)
        state.discard()
        there = 0
    headers = {"Range": f"bytes={there}-", "If-Range": state.validator} if there and state.validator else {}
    with web.get(remote.url, headers) as response:
        total, kept = _begin(response, state, there)
        advance(kept - there)
        if remote.size is not None and total is not None and total != remote.size:
            raise TryAgain(f"the file has {remote.size} bytes, but is now said to have {total}")
        if limit is not None and max(total or 0, kept) > limit:
            raise DownloadError(f"{remote.url}: has {total} bytes; more than {limit} are not taken")
        with state.part.open("ab") as stream:
            for piece in web.body(response):
                stream.write(piece)
                advance(len(piece))
                if limit is not None and stream.tell() > limit:
                    raise DownloadError(f"{remote.url}: sends more than the {limit} bytes that are taken")
                if stream.tell() >= state.best + _LARGE:
                    state.best = stream.tell()
                    attempts.reset()
        whole = None if is_encoded(response) else total if total is not None else remote.size
        return whole, _stated_md5(response)


def _begin(response: httpx.Response, state: _State, there: int) -> tuple[int | None, int]:
    """Size of the whole, and how many bytes of the part are of use for this answer."""
    if response.status_code == 206 and there:
        first, last, total = content_range(response)
        if first == there and total is not None and last == total - 1:
            return total, there
        state.discard()
        raise TryAgain(f"sends {response.headers.get('Content-Range', '')!r} when asked for bytes from {there} on")
    if response.status_code != 200:
        state.discard()
        raise TryAgain(f"status {response.status_code} for the whole file")
    state.discard()
    total = content_length(response)
    state.validator = None if is_encoded(response) else validator(response)
    if state.validator and (total is None or total >= _LARGE):
        state.note.write_text(json.dumps({"validator": state.validator}), encoding="utf-8")
    return total, 0


def _verify(part: Path, total: int | None, digests: set[str | None], check: Callable[[Path], object] | None) -> str:
    size = part.stat().st_size
    if total is not None and size != total:
        raise TryAgain(f"{size} bytes came of {total}")
    found = md5_of(part)
    wrong = digests - {found}
    if wrong:
        raise TryAgain(f"what came has the MD5 {found}, but should have {wrong.pop()}")
    if check is not None:
        try:
            check(part)
        except ClothsegError as error:
            raise TryAgain(str(error).replace(str(part), "what came")) from error
    return found


def _noted(note: Path) -> str | None:
    try:
        told = json.loads(note.read_text(encoding="utf-8"))["validator"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return told if isinstance(told, str) else None


def _stated_md5(response: httpx.Response) -> str | None:
    """The MD5 of the whole file in hex, where a server is known to state it.

    Google's storage has `x-goog-hash`; Amazon's has it as ETag, but for uploads in parts and some encryptions. An ETag
    of another server that looks like an MD5 may be one of something else.
    """
    texts = [t.strip() for t in response.headers.get("x-goog-hash", "").split(",")]
    texts = [t.removeprefix("md5=") for t in texts if t.startswith("md5=")]
    if response.status_code == 200 and "Content-MD5" in response.headers:
        texts.append(response.headers["Content-MD5"])
    for text in texts:
        try:
            return base64.b64decode(text, validate=True).hex()
        except binascii.Error:
            continue
    etag = response.headers.get("ETag", "").strip('"')
    amazon = response.headers.get("Server") == "AmazonS3" and "kms" not in response.headers.get(
        "x-amz-server-side-encryption", ""
    )
    return etag if amazon and re.fullmatch("[0-9a-f]{32}", etag) else None
