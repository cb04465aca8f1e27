"""Reads what a request sends, in memory and within limits: raw bytes, or the parts of a form."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from clothseg.serve.limits import MEGABYTE, RequestError

if TYPE_CHECKING:
    from clothseg.serve.limits import Limits

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it warns of forms that are answered with 400
_DRAIN_SECONDS = 5.0
_FORM_EXTRA = 64 * 1024
"""Bytes that a form may have beside its files."""


@dataclass(frozen=True)
class Parts:
    """What a request sent.

    Attributes:
        files: bytes by the name of the field.
        fields: texts by the name of the field.
    """

    files: Mapping[str, bytes]
    fields: Mapping[str, str]

    def file(self, name: str) -> bytes:
        """The file of a field.

        Raises:
            RequestError: there is none.
        """
        content = self.files.get(name)
        if not content:
            raise RequestError(
                400, f"there is no photo in the request; send it as the body, or as the field {name!r} of a form"
            )
        return content


def require_plain_body(request: Request) -> None:
    """Refuses a compressed body: how large it becomes is not known before it is unpacked, and photos are compressed.

    Raises:
        RequestError: the header Content-Encoding names a compression. Source: RFC 9110, 15.5.16, and RFC 7694.
    """
    encoding = request.headers.get("content-encoding", "identity").strip()
    if encoding.lower() not in {"", "identity"}:
        raise RequestError(
            415,
            f"the body is compressed (Content-Encoding: {encoding[:40]}), and this server takes it only as it is; send "
            "it without this header and uncompressed",
            {"Accept-Encoding": "identity"},
        )


def declared_bytes(request: Request, limits: "Limits", files: int = 1) -> int:
    """The size of the body by its header; the limit if the header is missing.

    Raises:
        RequestError: it is more than the limit for this number of files, or not a number.
    """
    most = files * limits.photo_bytes + _FORM_EXTRA
    header = request.headers.get("content-length")
    if header is None:
        return most
    if not header.isdecimal():
        raise RequestError(400, "the header Content-Length is not a number")
    if int(header) > most:
        raise _too_large(limits)
    return int(header)


async def read_parts(request: Request, limits: "Limits", files: int = 1) -> Parts:
    """Reads the body: the parts of `multipart/form-data`, or else one file, named `photo`. Nothing touches the disk.

    Raises:
        RequestError: it is too large, too slow, or not a valid form.
    """
    stream = _bounded(request, files * limits.photo_bytes + _FORM_EXTRA, limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            if not request.headers.get("content-type", "").lower().startswith("multipart/"):
                parts = Parts({"photo": b"".join([chunk async for chunk in stream])}, {})
            else:
                parts = await _form(request, stream, limits, files)
    except TimeoutError:
        raise RequestError(408, "the request took too long to arrive; send it again") from None
    if any(len(content) > limits.photo_bytes for content in parts.files.values()):
        raise _too_large(limits)
    return parts


async def drain(request: Request, limits: "Limits") -> None:
    """Reads the rest of a refused body and drops it: while a client sends, it does not see the response."""
    left = 2 * limits.photo_bytes
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for chunk in request.stream():
                left -= len(chunk)
                if left < 0:
                    return
    except (TimeoutError, RuntimeError):  # RuntimeError: it was read already
        return


async def _bounded(request: Request, most: int, limits: "Limits") -> AsyncGenerator[bytes, None]:
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if total > most:
            raise _too_large(limits)
        if chunk:
            yield chunk


async def _form(request: Request, stream: AsyncGenerator[bytes, None], limits: "Limits", files: int) -> Parts:
    parser = _InMemory(request.headers, stream, max_files=files, max_fields=16, max_part_size=_FORM_EXTRA)
    parser.spool_max_size = files * limits.photo_bytes + _FORM_EXTRA + 1
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RequestError(400, f"the form cannot be read: {error.message}") from error
    try:
        uploads = {name: value.file.read() for name, value in form.items() if isinstance(value, UploadFile)}
        return Parts(uploads, {name: value for name, value in form.items() if isinstance(value, str)})
    finally:
        await form.close()


class _InMemory(MultiPartParser):
    """Keeps files in memory, where Starlette would write those over a megabyte to a temporary file."""


def _too_large(limits: "Limits") -> RequestError:
    most = f"{limits.photo_bytes / MEGABYTE:g} MB"
    return RequestError(413, f"a photo, or a request for labels, may have {most}; send a smaller one")
