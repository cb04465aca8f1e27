"""Single members of a zip on a server: its directory first, then byte ranges.

The standard library's `zipfile` reads the directory, from a file object that fetches only what is read. So ZIP64,
comments and data before the archive work. The members are then cut out of byte ranges that cover several neighbours.
`zipfile` cannot do that: it reads one member after the other, each with its own request.

Source of the format: PKWARE's APPNOTE.TXT.
"""

import io
import itertools
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from clothseg.errors import DataError

# The largest masks of Open Images have about 2.6 million pixels, which are 330 kB unpacked.
MAX_MASK_BYTES = 32 << 20
_TAIL = (1 << 16) + 22 + 20 + 56  # the longest comment, the end record, the locator and record of ZIP64
_PIECE = 8 << 20
_MAX_DIRECTORY = 1 << 30
_LOCAL = struct.Struct("<4s5HIIIHH")
_MARGIN = 1 << 17  # more than a local header with its fields and a data descriptor needs

ReadRange = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a zip. Its bytes, with the header, are from `start` up to but not including `stop`."""

    name: str
    start: int
    stop: int
    compressed: int
    size: int
    crc: int
    method: int
    encrypted: bool

    @property
    def is_too_large(self) -> bool:
        """Whether it claims more than `MAX_MASK_BYTES`."""
        return max(self.size, self.compressed) > MAX_MASK_BYTES


@dataclass(frozen=True)
class Directory:
    """The needed parts of a zip's directory.

    Attributes:
        members: the requested members by base name, which is the name in the mask list.
        count: number of all files in the archive.
        unsafe: paths of members that lead out of the folder; these members are never read.
    """

    members: dict[str, Member]
    count: int
    unsafe: list[str]


@dataclass(frozen=True)
class Block:
    """Neighbouring members that one request fetches: the bytes from `start` up to but not including `stop`."""

    start: int
    stop: int
    members: list[Member] = field(default_factory=list)


def read_directory(read: ReadRange, size: int, names: Collection[str]) -> Directory:
    """Finds members in a zip.

    Args:
        read: `read(start, stop)` returns bytes of the zip.
        size: of the zip in bytes.
        names: base names of the members to find.

    Raises:
        DataError: it is not a zip, or it is cut.
    """
    try:
        with zipfile.ZipFile(_RangeFile(read, size)) as archive:
            infos, end = archive.infolist(), archive.start_dir
    except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, OSError) as error:
        raise DataError(f"not a zip that can be read ({error}); it may be cut") from error
    starts = sorted({info.header_offset for info in infos} | {end})
    following = dict(itertools.pairwise(starts))
    members: dict[str, Member] = {}
    unsafe: list[str] = []
    count = 0
    for info in infos:
        if info.is_dir():
            continue
        count += 1
        if is_unsafe(info.orig_filename):
            unsafe.append(info.orig_filename)
            continue
        name = PurePosixPath(info.filename).name
        if name in names:
            longest = info.header_offset + info.compress_size + _MARGIN
            members[name] = Member(
                name=name,
                start=info.header_offset,
                stop=min(following.get(info.header_offset, end), longest),
                compressed=info.compress_size,
                size=info.file_size,
                crc=info.CRC,
                method=info.compress_type,
                encrypted=bool(info.flag_bits & 0x1),
            )
    return Directory(members, count, unsafe)


def is_unsafe(path: str) -> bool:
    """Whether a member's path is absolute, has `..`, or is a Windows path."""
    return path.startswith(("/", "\\")) or bool(re.match("[A-Za-z]:", path)) or ".." in re.split(r"[/\\]", path)


def blocks(members: Iterable[Member], max_gap: int, max_block: int) -> list[Block]:
    """Groups members into byte ranges.

    Members in the order of the file are in one block if at most `max_gap` bytes lie between them, and if the block has
    at most `max_block` bytes. Members may overlap.
    """
    grouped: list[Block] = []
    for member in sorted(members, key=lambda m: (m.start, m.stop)):
        last = grouped[-1] if grouped else None
        if last and member.start - last.stop <= max_gap and member.stop - last.start <= max_block:
            grouped[-1] = Block(last.start, max(last.stop, member.stop), [*last.members, member])
        else:
            grouped.append(Block(member.start, member.stop, [member]))
    return grouped


def unpack(member: Member, data: bytes) -> bytes:
    """Returns the content of a member. `data` are its bytes in the zip, from `member.start` on.

    Raises:
        DataError: header, length or CRC disagree with the directory; it is encrypted, compressed by another method than
            deflate, or too large.
    """
    if member.encrypted:
        raise DataError(f"{member.name}: is encrypted")
    if member.is_too_large:
        raise DataError(f"{member.name}: {member.size} bytes when unpacked; no mask is that large")
    if len(data) < _LOCAL.size or data[:4] != b"PK\x03\x04":
        raise DataError(f"{member.name}: no member begins at the place that the directory gives")
    *_, name_length, extra_length = _LOCAL.unpack_from(data)
    begin = _LOCAL.size + name_length + extra_length
    packed = data[begin : begin + member.compressed]
    if len(packed) != member.compressed:
        raise DataError(f"{member.name}: ends after {len(packed)} of {member.compressed} bytes")
    content = _inflate(member, packed)
    if len(content) != member.size or zlib.crc32(content) != member.crc:
        raise DataError(f"{member.name}: length or CRC differs from the directory")
    return content


def _inflate(member: Member, packed: bytes) -> bytes:
    if member.method == zipfile.ZIP_STORED:
        return packed
    if member.method != zipfile.ZIP_DEFLATED:
        raise DataError(f"{member.name}: compressed by method {member.method}, which is not supported")
    try:
        # One byte more than stated shows that the size is wrong, without unpacking the rest.
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, member.size + 1)
    except zlib.error as error:
        raise DataError(f"{member.name}: cannot be unpacked ({error})") from error


class _RangeFile(io.RawIOBase):
    """A file object that fetches what is read. It fetches the tail, where reading a zip begins, in one piece."""

    def __init__(self, read: ReadRange, size: int) -> None:
        super().__init__()
        self._fetch, self._size, self._place = read, size, 0
        self._tail_start = max(size - _TAIL, 0)
        self._tail: bytes | None = None

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves the position; one before the file is an OSError, as for a real file."""
        place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if place < 0:
            raise OSError("position before the beginning of the file")
        self._place = place
        return place

    def read(self, count: int | None = -1) -> bytes:
        """Returns up to `count` bytes, or all that are left."""
        stop = self._size if count is None or count < 0 else min(self._place + count, self._size)
        start, self._place = self._place, max(stop, self._place)
        if stop - start > _MAX_DIRECTORY:
            raise OSError(f"a directory of {stop - start} bytes is too large")
        if start >= stop:
            return b""
        if stop > self._tail_start and self._tail is None:
            self._tail = self._pieces(self._tail_start, self._size)
        before = self._pieces(start, min(stop, self._tail_start))
        inside = (self._tail or b"")[max(start - self._tail_start, 0) : max(stop - self._tail_start, 0)]
        return before + inside

    def _pieces(self, start: int, stop: int) -> bytes:
        return b"".join(self._fetch(at, min(at + _PIECE, stop)) for at in range(start, stop, _PIECE))
