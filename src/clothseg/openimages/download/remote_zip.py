"""Single members of a zip that lies on a server: its directory first, then byte ranges.

The directory is read by the standard library's `zipfile`, from a file that fetches what is read of it; that takes care
of ZIP64, of comments and of data before the archive. Members are then cut out of ranges that cover several neighbours,
which `zipfile` cannot do: it reads member by member, one request after the other.
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

# The largest masks of Open Images have some 2.6 million pixels, 330 kB before they are packed.
LARGEST_MASK = 32 << 20
_TAIL = (1 << 16) + 22 + 20 + 56  # the longest comment, the end record, ZIP64's locator and record
_PIECE = 8 << 20
_LARGEST_DIRECTORY = 1 << 30
_LOCAL = struct.Struct("<4s5HIIIHH")
_MARGIN = 1 << 17  # more than a local header with name and extra field and a data descriptor can take

ReadRange = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a zip: its bytes, header included, lie from `start` to `stop` (not included)."""

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
        """Whether it claims more bytes than any mask has."""
        return max(self.size, self.compressed) > LARGEST_MASK


@dataclass(frozen=True)
class Directory:
    """What of a zip's directory is of interest.

    Attributes:
        members: the wanted ones by base name, like the masks' names in the list.
        count: all files of the archive.
        unsafe: paths that lead out of a folder, of members that are therefore not touched.
    """

    members: dict[str, Member]
    count: int
    unsafe: list[str]


@dataclass(frozen=True)
class Block:
    """Neighbouring members that one request brings."""

    start: int
    stop: int
    members: list[Member] = field(default_factory=list)


def read_directory(read: ReadRange, size: int, wanted: Collection[str]) -> Directory:
    """Where the `wanted` members of a zip of `size` bytes lie. `read(start, stop)` gives bytes of it.

    Raises:
        DataError: it is no zip, or a cut one.
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
        if name in wanted:
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
    """Whether a member's path is absolute, climbs out by `..`, or is one of Windows."""
    return path.startswith(("/", "\\")) or bool(re.match("[A-Za-z]:", path)) or ".." in re.split(r"[/\\]", path)


def blocks(members: Iterable[Member], max_gap: int, max_block: int) -> list[Block]:
    """Members in the order of the file, together where at most `max_gap` bytes lie between two.

    A block that already has `max_block` bytes takes no more. Members may overlap.
    """
    found: list[Block] = []
    for member in sorted(members, key=lambda m: (m.start, m.stop)):
        last = found[-1] if found else None
        if last and member.start - last.stop <= max_gap and member.stop - last.start <= max_block:
            found[-1] = Block(last.start, max(last.stop, member.stop), [*last.members, member])
        else:
            found.append(Block(member.start, member.stop, [member]))
    return found


def unpack(member: Member, data: bytes) -> bytes:
    """The content of a member out of its bytes, `data[0]` being the one at `member.start`.

    Raises:
        DataError: header, length or CRC are not those of the directory, it is encrypted or packed in another way than
            deflate, or larger than any mask.
    """
    if member.encrypted:
        raise DataError(f"{member.name}: is encrypted")
    if member.is_too_large:
        raise DataError(f"{member.name}: would unpack to {member.size} bytes; no mask is that large")
    if len(data) < _LOCAL.size or data[:4] != b"PK\x03\x04":
        raise DataError(f"{member.name}: no member begins where the directory says")
    *_, name_length, extra_length = _LOCAL.unpack_from(data)
    begin = _LOCAL.size + name_length + extra_length
    packed = data[begin : begin + member.compressed]
    if len(packed) != member.compressed:
        raise DataError(f"{member.name}: ends after {len(packed)} of {member.compressed} bytes")
    content = _inflate(member, packed)
    if len(content) != member.size or zlib.crc32(content) != member.crc:
        raise DataError(f"{member.name}: length or CRC is not that of the directory")
    return content


def _inflate(member: Member, packed: bytes) -> bytes:
    if member.method == zipfile.ZIP_STORED:
        return packed
    if member.method != zipfile.ZIP_DEFLATED:
        raise DataError(f"{member.name}: packed by method {member.method}, which is not known here")
    try:
        # One byte more than stated shows that there is more, without unpacking all of it.
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, member.size + 1)
    except zlib.error as error:
        raise DataError(f"{member.name}: cannot be unpacked ({error})") from error


class _RangeFile(io.RawIOBase):
    """A file of which only what is read is fetched; its tail, where a zip's directory begins to be read, at once."""

    def __init__(self, read: ReadRange, size: int) -> None:
        super().__init__()
        self._fetch, self._size, self._place = read, size, 0
        self._tail_start = max(size - _TAIL, 0)
        self._tail: bytes | None = None

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The place in bytes."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; a place before the file is an OSError, as of a real file."""
        place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if place < 0:
            raise OSError("before the beginning of the file")
        self._place = place
        return place

    def read(self, count: int | None = -1) -> bytes:
        """Up to `count` bytes, all that are left without it."""
        stop = self._size if count is None or count < 0 else min(self._place + count, self._size)
        start, self._place = self._place, max(stop, self._place)
        if stop - start > _LARGEST_DIRECTORY:
            raise OSError(f"a directory of {stop - start} bytes is not read")
        if start >= stop:
            return b""
        if stop > self._tail_start and self._tail is None:
            self._tail = self._pieces(self._tail_start, self._size)
        before = self._pieces(start, min(stop, self._tail_start))
        inside = (self._tail or b"")[max(start - self._tail_start, 0) : max(stop - self._tail_start, 0)]
        return before + inside

    def _pieces(self, start: int, stop: int) -> bytes:
        return b"".join(self._fetch(at, min(at + _PIECE, stop)) for at in range(start, stop, _PIECE))
