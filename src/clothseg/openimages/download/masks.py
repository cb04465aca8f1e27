"""Masks from remote zips: finds which are missing and where their bytes are, and writes each to its own file.

They become loose files in `train-masks/train-masks-f/`, where `MaskArchive` looks first. From a server without byte
ranges the whole zip is fetched, to `train-masks/train-masks-f.zip`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from clothseg.errors import ClothsegError, DataError
from clothseg.http import RangesNotSupportedError, fetch_file
from clothseg.openimages.download.decode import MASK_KINDS, check_picture
from clothseg.openimages.download.job import Advance, DownloadJob, as_progress, part_file
from clothseg.openimages.download.ledger import Ledger
from clothseg.openimages.download.plan import ArchivePlan, Failure
from clothseg.openimages.download.remote_zip import Block, Directory, Member, blocks, read_directory, unpack

# The fastest of the gaps in benchmarks/download_ranges.py: to read this many bytes takes as long as another request.
MAX_GAP = 1 << 16
MAX_BLOCK = 8 << 20


@dataclass(frozen=True)
class ArchiveEntry:
    """The masks of one split and partition on disk."""

    out: Path
    split: str
    partition: str

    @property
    def folder(self) -> Path:
        """The folder for loose masks."""
        return self.out / f"{self.split}-masks" / f"{self.split}-masks-{self.partition}"

    @property
    def zip(self) -> Path:
        """The file for the whole archive."""
        return self.folder.with_name(f"{self.folder.name}.zip")

    def missing(self, names: Iterable[str], ledger: Ledger) -> list[str]:
        """Returns the masks that are absent or broken. A loose mask hides that in the zip, even if it is broken."""
        check = partial(check_picture, kinds=MASK_KINDS)
        absent = [name for name in names if not ledger.accepts(self.folder / name, check)]
        in_zip = [name for name in absent if not (self.folder / name).exists()]
        if in_zip and self.zip.is_file():
            good = _check_zip(self.zip, in_zip).good
            absent = [name for name in absent if name not in good]
        return absent


def plan_archive(job: DownloadJob, entry: ArchiveEntry, names: Sequence[str]) -> tuple[ArchivePlan, list[Failure]]:
    """Finds which of the masks `names` are missing. If any is, reads the directory of the remote zip.

    Returns:
        The plan, and the failures that are certain already.
    """
    source = job.publisher.mask_zip(entry.split, entry.partition)
    missing = entry.missing(names, job.ledger)
    plan = ArchivePlan(entry.split, entry.partition, source.name, len(names), len(names) - len(missing))
    if not missing:
        return plan, []
    try:
        remote = job.client.probe_first(source.urls)
        plan = replace(plan, size=remote.size)
        if not remote.ranges or remote.size is None:
            if job.ledger.holds(entry.zip) and entry.zip.stat().st_size == remote.size:
                return plan, _failures_in_zip(entry, missing)  # the server has no other file
            return replace(plan, whole=True, remote=remote), []
        before = job.client.received
        try:
            directory = read_directory(lambda a, b: job.client.read_range(remote, a, b), remote.size, set(missing))
        except RangesNotSupportedError:
            return replace(plan, whole=True, remote=remote), []
    except ClothsegError as error:
        return plan, [Failure("mask", entry.split, name, f"{source.name}: {error}") for name in missing]
    ranges = blocks((m for m in directory.members.values() if not m.is_too_large), MAX_GAP, MAX_BLOCK)
    plan = replace(plan, remote=remote, blocks=ranges, directory_bytes=job.client.received - before)
    return plan, _absent(directory, missing, source.name, entry.split)


def _absent(directory: Directory, names: Iterable[str], archive: str, split: str) -> list[Failure]:
    failed = [
        Failure("member", split, path, f"{archive}: this path leads out of the folder; the member is not read")
        for path in directory.unsafe
    ]
    failed += [
        Failure("mask", split, name, f"{archive}: {member.size} bytes when unpacked; no mask is that large")
        for name, member in directory.members.items()
        if member.is_too_large
    ]
    return failed + [
        Failure("mask", split, name, f"{archive}: no such mask among its {directory.count} files")
        for name in names
        if name not in directory.members
    ]


def fetch_block(job: DownloadJob, plan: ArchivePlan, entry: ArchiveEntry, block: Block) -> list[Failure]:
    """Fetches one byte range and writes its masks. A broken mask is fetched once more, alone.

    Raises:
        DownloadError: the range cannot be fetched.
        RangesNotSupportedError: the server does not send ranges, although it said so.
    """
    assert plan.remote is not None
    data = job.client.read_range(plan.remote, block.start, block.stop)
    failed = []
    for member in block.members:
        try:
            content = _content(member, data[member.start - block.start : member.stop - block.start])
        except DataError:
            try:
                content = _content(member, job.client.read_range(plan.remote, member.start, member.stop))
            except ClothsegError as error:
                failed.append(Failure("mask", entry.split, member.name, f"{plan.name}: {error}"))
                continue
        path = entry.folder / member.name
        _put(content, path, job.parts)
        job.ledger.add(path)
    return failed


def fetch_whole(
    job: DownloadJob, plan: ArchivePlan, entry: ArchiveEntry, names: Sequence[str], advance: Advance
) -> list[Failure]:
    """Fetches the whole zip and checks the masks `names` in it. A zip that cannot be opened is removed."""
    assert plan.remote is not None
    part = part_file(job.parts, entry.zip)
    try:
        md5 = fetch_file(job.client, plan.remote, entry.zip, part=part, progress=as_progress(advance))
    except ClothsegError as error:
        return [Failure("mask", entry.split, name, f"{plan.name}: {error}") for name in names]
    job.ledger.add(entry.zip, md5)
    for name in names:
        (entry.folder / name).unlink(missing_ok=True)  # a broken loose mask would hide the one in the zip
    return _failures_in_zip(entry, names)


def _failures_in_zip(entry: ArchiveEntry, names: Sequence[str]) -> list[Failure]:
    """The masks among `names` that the zip on disk does not have, or has broken. An unreadable zip is removed."""
    checked = _check_zip(entry.zip, names)
    archive = entry.zip.name
    if checked.directory is None:
        entry.zip.unlink()
        message = f"{archive}: not a zip that can be read; it may be cut"
        return [Failure("mask", entry.split, name, message) for name in names]
    return _absent(checked.directory, names, archive, entry.split) + [
        Failure("mask", entry.split, name, f"{archive}: {problem}") for name, problem in checked.problems.items()
    ]


@dataclass
class _ZipCheck:
    """The masks of a zip: the names of the good ones, and the problem of each broken one."""

    directory: Directory | None = None
    good: set[str] = field(default_factory=set)
    problems: dict[str, str] = field(default_factory=dict)


def _check_zip(path: Path, names: Sequence[str]) -> _ZipCheck:
    """Decodes the masks `names` of a zip on disk. The directory is None if the file is not a zip."""
    checked = _ZipCheck()
    with path.open("rb") as stream:

        def read(start: int, stop: int) -> bytes:
            stream.seek(start)
            return stream.read(stop - start)

        try:
            checked.directory = read_directory(read, path.stat().st_size, set(names))
        except DataError:
            return checked
        for name, member in checked.directory.members.items():
            if member.is_too_large:
                continue
            try:
                _content(member, read(member.start, member.stop))
                checked.good.add(name)
            except DataError as error:
                checked.problems[name] = str(error)
    return checked


def _content(member: Member, data: bytes) -> bytes:
    content = unpack(member, data)
    try:
        check_picture(content, MASK_KINDS)
    except DataError as error:
        raise DataError(f"{member.name}: {error}") from error
    return content


def _put(content: bytes, path: Path, parts: Path) -> None:
    """Writes a file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts.mkdir(parents=True, exist_ok=True)
    temporary = parts / path.name
    temporary.write_bytes(content)
    temporary.replace(path)
