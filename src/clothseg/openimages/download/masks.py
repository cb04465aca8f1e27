"""Masks out of remote zips: which are missing, where their bytes lie, and each to a file of its own.

They are put loose into `train-masks/train-masks-f/`, where `MaskArchive` looks first. A server without ranges gives the
whole zip, which goes to `train-masks/train-masks-f.zip`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from clothseg.errors import ClothsegError, DataError
from clothseg.files import replace_file
from clothseg.openimages.download.decode import MASK_KINDS, check_picture
from clothseg.openimages.download.fetch import fetch_file
from clothseg.openimages.download.ledger import Ledger
from clothseg.openimages.download.plan import ArchivePlan, Failure
from clothseg.openimages.download.remote_zip import Block, Directory, Member, blocks, read_directory, unpack
from clothseg.openimages.download.sources import Publisher
from clothseg.openimages.download.web import NoRangesError, Web

# Of the gaps tried in benchmarks/download_ranges.py the quickest: it costs about as much time as another request.
MAX_GAP = 1 << 16
MAX_BLOCK = 8 << 20


@dataclass(frozen=True)
class ArchiveEntry:
    """The masks of a split's partition on disk."""

    out: Path
    split: str
    partition: str

    @property
    def folder(self) -> Path:
        """For loose masks."""
        return self.out / f"{self.split}-masks" / f"{self.split}-masks-{self.partition}"

    @property
    def zip(self) -> Path:
        """For the whole archive."""
        return self.folder.with_name(f"{self.folder.name}.zip")

    def missing(self, names: Iterable[str], ledger: Ledger) -> list[str]:
        """Those masks that are not there and good. A loose one stands before that in the zip, even if it is bad."""
        absent = [name for name in names if not _is_good(self.folder / name, ledger)]
        in_zip = [name for name in absent if not (self.folder / name).exists()]
        if in_zip and self.zip.is_file():
            good, _ = _good_in_zip(self.zip, in_zip)
            absent = [name for name in absent if name not in good]
        return absent


def plan_archive(
    web: Web, publisher: Publisher, place: ArchiveEntry, names: Sequence[str], ledger: Ledger
) -> tuple[ArchivePlan, list[Failure]]:
    """See what is missing of the masks `names`, and read the directory of their zip if anything is.

    Returns:
        the plan; what can be known to fail already.
    """
    source = publisher.mask_zip(place.split, place.partition)
    missing = place.missing(names, ledger)
    plan = ArchivePlan(place.split, place.partition, source.name, len(names), len(names) - len(missing))
    if not missing:
        return plan, []
    try:
        remote = web.first_of(source.urls)
        plan = replace(plan, size=remote.size)
        if not remote.ranges or remote.size is None:
            if ledger.holds(place.zip) and place.zip.stat().st_size == remote.size:
                return plan, _failures_in_zip(place, missing)  # the server has nothing else
            return replace(plan, whole=True, remote=remote), []
        before = web.received
        try:
            directory = read_directory(lambda a, b: web.part(remote, a, b), remote.size, set(missing))
        except NoRangesError:
            return replace(plan, whole=True, remote=remote), []
    except ClothsegError as error:
        return plan, [Failure("mask", place.split, name, f"{source.name}: {error}") for name in missing]
    found = blocks((m for m in directory.members.values() if not m.is_too_large), MAX_GAP, MAX_BLOCK)
    plan = replace(plan, remote=remote, blocks=found, directory_bytes=web.received - before)
    return plan, _absent(directory, missing, source.name, place.split)


def _absent(directory: Directory, names: Iterable[str], archive: str, split: str) -> list[Failure]:
    failed = [
        Failure("member", split, path, f"{archive}: this path leads out of the folder; the member is not touched")
        for path in directory.unsafe
    ]
    failed += [
        Failure("mask", split, name, f"{archive}: would unpack to {member.size} bytes; no mask is that large")
        for name, member in directory.members.items()
        if member.is_too_large
    ]
    return failed + [
        Failure("mask", split, name, f"{archive}: no such mask among its {directory.count} files")
        for name in names
        if name not in directory.members
    ]


def take_block(
    web: Web, plan: ArchivePlan, place: ArchiveEntry, block: Block, parts: Path, ledger: Ledger
) -> list[Failure]:
    """Fetch a range and write its masks. A mask that comes out wrong is fetched once more by itself.

    Raises:
        DownloadError: the range cannot be had.
        NoRangesError: the server does not send ranges after all.
    """
    assert plan.remote is not None
    data = web.part(plan.remote, block.start, block.stop)
    failed = []
    for member in block.members:
        try:
            content = _content(member, data[member.start - block.start : member.stop - block.start])
        except DataError:
            try:
                content = _content(member, web.part(plan.remote, member.start, member.stop))
            except ClothsegError as error:
                failed.append(Failure("mask", place.split, member.name, f"{plan.name}: {error}"))
                continue
        path = place.folder / member.name
        _put(content, path, parts)
        ledger.add(path)
    return failed


def fetch_whole(
    web: Web,
    plan: ArchivePlan,
    place: ArchiveEntry,
    names: Sequence[str],
    parts: Path,
    ledger: Ledger,
    advance: Callable[[int], None],
) -> list[Failure]:
    """Fetch the whole zip and see that the masks `names` in it are good; a zip that cannot be opened is not kept."""
    assert plan.remote is not None
    try:
        ledger.add(place.zip, fetch_file(web, plan.remote, place.zip, parts, advance=advance))
    except ClothsegError as error:
        return [Failure("mask", place.split, name, f"{plan.name}: {error}") for name in names]
    for name in names:
        (place.folder / name).unlink(missing_ok=True)  # a bad one would stand before that in the zip
    return _failures_in_zip(place, names)


def _failures_in_zip(place: ArchiveEntry, names: Sequence[str]) -> list[Failure]:
    """What of the masks `names` a zip on disk does not give. One that cannot be opened is removed."""
    good, directory = _good_in_zip(place.zip, names)
    archive = place.zip.name
    if directory is None:
        place.zip.unlink()
        told = f"{archive}: not a zip that can be read; it may be cut"
        return [Failure("mask", place.split, name, told) for name in names]
    return _absent(directory, names, archive, place.split) + [
        Failure("mask", place.split, name, f"{archive}: {good.why[name]}") for name in names if name in good.why
    ]


class _Good(set[str]):
    """Names of good masks; `why` tells of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.why: dict[str, str] = {}


def _good_in_zip(path: Path, names: Sequence[str]) -> tuple[_Good, Directory | None]:
    """Which masks a zip on disk holds whole; no directory if it is no zip."""
    good = _Good()
    with path.open("rb") as stream:

        def read(start: int, stop: int) -> bytes:
            stream.seek(start)
            return stream.read(stop - start)

        try:
            directory = read_directory(read, path.stat().st_size, set(names))
        except DataError:
            return good, None
        for name, member in directory.members.items():
            if member.is_too_large:
                continue
            try:
                _content(member, read(member.start, member.stop))
                good.add(name)
            except DataError as error:
                good.why[name] = str(error)
    return good, directory


def _content(member: Member, data: bytes) -> bytes:
    content = unpack(member, data)
    try:
        check_picture(content, MASK_KINDS)
    except DataError as error:
        raise DataError(f"{member.name}: {error}") from error
    return content


def _put(content: bytes, path: Path, parts: Path) -> None:
    """Write a file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts.mkdir(parents=True, exist_ok=True)
    temporary = parts / path.name
    temporary.write_bytes(content)
    replace_file(temporary, path)


def _is_good(path: Path, ledger: Ledger) -> bool:
    if ledger.holds(path):
        return True
    if ledger.knows(path):
        return False
    try:
        check_picture(path, MASK_KINDS)
    except DataError:
        return False
    ledger.add(path)
    return True
