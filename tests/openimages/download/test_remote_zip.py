"""Members from byte ranges; the zipfile of the standard library is the referee."""

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clothseg.errors import DataError
from clothseg.openimages.download.remote_zip import Block, Member, blocks, is_unsafe, read_directory, unpack


def zipped(files: dict[str, bytes], *, stored: bool = False, comment: bytes = b"", before: bytes = b"") -> bytes:
    stream = io.BytesIO(before)
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.comment = comment
    return stream.getvalue()


class Ranges:
    """Reads ranges of bytes and counts them."""

    def __init__(self, data: bytes) -> None:
        self.data, self.requested = data, list[tuple[int, int]]()

    def __call__(self, start: int, stop: int) -> bytes:
        self.requested.append((start, stop))
        return self.data[start:stop]


def taken(data: bytes, names: set[str], max_gap: int = 0, max_block: int = 1 << 20) -> dict[str, bytes]:
    found = read_directory(Ranges(data), len(data), names).members.values()
    return {
        member.name: unpack(member, data[block.start : block.stop][member.start - block.start :])
        for block in blocks(found, max_gap, max_block)
        for member in block.members
    }


names = st.text("abcdef0123456789", min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(names, st.binary(max_size=400), max_size=12),
    st.booleans(),
    st.binary(max_size=40).filter(lambda b: b"PK" not in b),
    st.binary(max_size=60).filter(lambda b: b"PK" not in b),
    st.integers(0, 300),
    st.integers(1, 900),
    st.data(),
)
def test_members_equal_those_of_the_standard_library(
    files: dict[str, bytes], stored: bool, comment: bytes, before: bytes, gap: int, block: int, data: st.DataObject
) -> None:
    archive = zipped(files, stored=stored, comment=comment, before=before)
    needed = data.draw(st.sets(st.sampled_from(sorted(files)))) if files else set()
    with zipfile.ZipFile(io.BytesIO(archive)) as referee:
        expected = {name: referee.read(name) for name in needed}
    assert taken(archive, needed | {"not there"}, gap, block) == expected


def test_zip64_by_number_of_members_and_by_a_members_header() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(66_000):
            archive.writestr(f"f/{number:05x}.png", b"%d" % number)
        with archive.open("large.png", "w", force_zip64=True) as writer:
            writer.write(b"a member in ZIP64")
    data = stream.getvalue()
    assert b"PK\x06\x06" in data
    ranges = Ranges(data)
    found = read_directory(ranges, len(data), {"101cf.png", "large.png"})
    assert found.count == 66_001
    assert len(ranges.requested) == 2, "the tail, and the part of the directory before it"
    for name, content in (("101cf.png", b"65999"), ("large.png", b"a member in ZIP64")):
        entry = found.members[name]
        assert unpack(entry, data[entry.start : entry.stop]) == content


def test_zip64_offsets_beyond_four_gigabytes() -> None:
    """A sparse archive of 5 GB, written byte by byte: only the extra field has the offset of the member."""
    content, place = b"far away", 5 << 30
    local = struct.pack("<4s5HIIIHH", b"PK\3\4", 45, 0, 0, 0, 33, zlib.crc32(content), len(content), len(content), 5, 0)
    local += b"a.png" + content
    extra = struct.pack("<HHQ", 1, 8, place)
    central = struct.pack(
        "<4s6HIIIHHHHHII", b"PK\1\2", 45, 45, 0, 0, 0, 33, zlib.crc32(content), len(content), len(content), 5,
        len(extra),
        0, 0, 0, 0, 0xFFFFFFFF,
    )  # fmt: skip
    central += b"a.png" + extra
    at = place + len(local)
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(central), at)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at + len(central), 1)
    end = struct.pack("<4s4HIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    tail = local + central + end64 + locator + end

    def read(start: int, stop: int) -> bytes:
        assert stop - start < 1 << 20
        return bytes(max(min(stop, place) - start, 0)) + tail[max(start - place, 0) : max(stop - place, 0)]

    member = read_directory(read, place + len(tail), {"a.png"}).members["a.png"]
    assert member.start == place
    assert unpack(member, read(member.start, member.stop)) == content


def member(start: int, stop: int) -> Member:
    return Member(f"{start}", start, stop, 0, 0, 0, 0, False)


def test_neighbours_share_a_request_up_to_a_gap_and_a_size() -> None:
    far, near, first, next_one = member(500, 520), member(130, 160), member(0, 40), member(40, 100)
    found = blocks([far, near, first, next_one], max_gap=30, max_block=1000)
    assert found == [Block(0, 160, [first, next_one, near]), Block(500, 520, [far])]
    assert [(b.start, b.stop) for b in blocks([far, near, first, next_one], 29, 1000)] == [
        (0, 100),
        (130, 160),
        (500, 520),
    ]
    assert [(b.start, b.stop) for b in blocks([far, near, first, next_one], 1000, 100)] == [
        (0, 100),
        (130, 160),
        (500, 520),
    ]
    assert [(b.start, b.stop) for b in blocks([member(0, 90), member(10, 20)], 0, 100)] == [(0, 90)]
    assert blocks([], 0, 1) == []


@pytest.mark.parametrize("cut", [1, 10, 22, 60, 300])
def test_a_cut_archive_is_refused(cut: int) -> None:
    data = zipped({f"{n}.png": b"x" * 50 for n in range(5)}, stored=True)
    with pytest.raises(DataError, match="not a zip that can be read"):
        read_directory(Ranges(data[:-cut]), len(data) - cut, {"1.png"})


@pytest.mark.parametrize("data", [b"", b"PK", b"<html>not here</html>" * 40])
def test_other_content_is_not_an_archive(data: bytes) -> None:
    with pytest.raises(DataError, match="not a zip that can be read"):
        read_directory(Ranges(data), len(data), {"1.png"})


def test_a_flipped_bit_in_a_member_is_detected() -> None:
    content = bytes(range(256))
    for stored in (True, False):
        data = zipped({"a.png": content}, stored=stored)
        found = read_directory(Ranges(data), len(data), {"a.png"}).members["a.png"]
        passed = []
        for place in range(found.stop - found.compressed, found.stop, 7):
            broken = bytearray(data)
            broken[place] ^= 0x10
            try:
                assert unpack(found, bytes(broken[found.start : found.stop])) == content
                passed.append(place)
            except DataError:
                continue
        assert len(passed) <= (0 if stored else 2), "a deflate stream has a few bits of padding, and no other slack"


def test_wrong_headers_short_data_and_unknown_compression_are_refused() -> None:
    data = zipped({"a.png": b"x" * 100}, stored=True)
    found = read_directory(Ranges(data), len(data), {"a.png"}).members["a.png"]
    whole = data[found.start : found.stop]
    for broken, expected in (
        (b"QK" + whole[2:], "no member begins"),
        (whole[:-1], "ends after 99 of 100"),
        (b"", "no member"),
    ):
        with pytest.raises(DataError, match=expected):
            unpack(found, broken)
    bzip = io.BytesIO()
    with zipfile.ZipFile(bzip, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.png", b"x")
    with pytest.raises(DataError, match="method 12"):
        taken(bzip.getvalue(), {"a.png"})
    secret = data.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")
    with pytest.raises(DataError, match="encrypted"):
        taken(secret, {"a.png"})


def test_a_member_that_lies_about_its_size_is_not_unpacked_completely() -> None:
    bomb = zipped({"a.png": bytes(200 << 20)})
    with pytest.raises(DataError, match="no mask is that large"):
        taken(bomb, {"a.png"})
    honest = struct.pack("<I", 200 << 20)
    lying = bomb.replace(honest, struct.pack("<I", 50))
    assert lying.count(honest) == 0
    with pytest.raises(DataError, match="length or CRC"):
        taken(lying, {"a.png"})


@pytest.mark.parametrize(
    "path", ["../a.png", "/a.png", "f/../../a.png", "..\\a.png", "C:\\a.png", "c:a.png", "\\\\host\\a.png", ".."]
)
def test_members_that_lead_out_are_listed_and_not_read(path: str) -> None:
    data = zipped({path: b"bad", "f/b.png": b"good", "..b": b"a name with dots"})
    found = read_directory(Ranges(data), len(data), {"a.png", "b.png", "..b", ".."})
    assert sorted(found.members) == ["..b", "b.png"]
    assert found.unsafe == [path]
    assert is_unsafe(path)
    assert not is_unsafe("f/a.png")
