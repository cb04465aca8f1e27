"""What is to be fetched, with sizes, and the result."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clothseg.http import RemoteFile
from clothseg.openimages.download.remote_zip import Block


@dataclass(frozen=True)
class TablePlan:
    """A table.

    Attributes:
        name: file name.
        path: its place.
        size: bytes, or None where the server does not say it.
        existing: whether it is there already.
        remote: the file on the server; None if the table exists or cannot be fetched.
        md5: its checksum in hex, if it is known.
        first_column: the name of its first column, if it is checked.
    """

    name: str
    path: Path
    size: int | None
    existing: bool
    remote: RemoteFile | None
    md5: str = ""
    first_column: str | None = None


@dataclass(frozen=True)
class ArchivePlan:
    """The masks of one partition.

    Attributes:
        split: of Open Images.
        partition: first digit of the image ids.
        name: of the zip.
        requested: number of requested masks.
        existing: number of them that are there already.
        size: bytes of the whole zip, where known.
        blocks: byte ranges with the missing masks; empty if the zip must be fetched whole.
        directory_bytes: bytes that were read to find the ranges.
        whole: whether the whole zip is fetched, because the server does not support ranges.
        remote: the zip on the server; None if no mask is missing, or the zip cannot be fetched.
    """

    split: str
    partition: str
    name: str
    requested: int
    existing: int
    size: int | None = None
    blocks: Sequence[Block] = ()
    directory_bytes: int = 0
    whole: bool = False
    remote: RemoteFile | None = None

    @property
    def bytes_to_fetch(self) -> int:
        """Bytes of the ranges, or of the whole zip."""
        if self.whole:
            return self.size or 0
        return sum(block.stop - block.start for block in self.blocks)


@dataclass(frozen=True)
class PhotoPlan:
    """The photos of one split.

    Attributes:
        split: of Open Images.
        requested: number of requested photos.
        missing: ids of those that are not there yet.
        mean_size: mean bytes of `sampled` of them; 0 if the server gives no size.
        sampled: number of photos whose size is known.
    """

    split: str
    requested: int
    missing: Sequence[str]
    mean_size: int
    sampled: int

    @property
    def bytes_to_fetch(self) -> int:
        """An estimate from the mean size."""
        return self.mean_size * len(self.missing)


@dataclass(frozen=True)
class DownloadPlan:
    """The whole plan. Sizes of tables and masks are exact, those of photos are estimates.

    Attributes:
        folder: for the files.
        classes: names.
        rows: number of mask rows by split and class name.
        tables, archives, photos: the parts of the plan.
    """

    folder: Path
    classes: tuple[str, ...]
    rows: dict[str, dict[str, int]]
    tables: list[TablePlan]
    archives: list[ArchivePlan]
    photos: list[PhotoPlan]

    @property
    def bytes_to_fetch(self) -> int:
        """Bytes of the tables, masks and photos that are missing."""
        tables = sum(t.size or 0 for t in self.tables if not t.existing)
        return tables + sum(a.bytes_to_fetch for a in self.archives) + sum(p.bytes_to_fetch for p in self.photos)

    def lines(self) -> list[tuple[str, int, int, int, str]]:
        """One row for each table, zip, and split of photos: name, requested, existing, bytes to fetch, note."""
        rows = [
            (
                t.name,
                1,
                int(t.existing),
                0 if t.existing else t.size or 0,
                "" if t.existing or t.size else "size unknown",
            )
            for t in self.tables
        ]
        rows += [(a.name, a.requested, a.existing, a.bytes_to_fetch, _archive_note(a)) for a in self.archives]
        return rows + [
            (f"{p.split} photos", p.requested, p.requested - len(p.missing), p.bytes_to_fetch, _photo_note(p))
            for p in self.photos
        ]

    def short(self) -> list[tuple[str, int, int, int, str]]:
        """The same, with one row for all zips of a split."""
        rows = self.lines()
        tables, photos = rows[: len(self.tables)], rows[len(self.tables) + len(self.archives) :]
        return tables + [self._masks(p.split) for p in self.photos] + photos

    def _masks(self, split: str) -> tuple[str, int, int, int, str]:
        of_split = [a for a in self.archives if a.split == split]
        ranges = sum(len(a.blocks) for a in of_split)
        zips = sum(bool(a.blocks) for a in of_split)
        notes = [f"{ranges} ranges of {zips} zips"] if ranges else []
        whole = sum(a.whole for a in of_split)
        notes += [f"{whole} whole zips: the server does not support ranges"] if whole else []
        lost = sum(a.existing < a.requested and a.remote is None for a in of_split)
        notes += [f"{lost} zips cannot be fetched"] if lost else []
        return (
            f"{split} masks",
            sum(a.requested for a in of_split),
            sum(a.existing for a in of_split),
            sum(a.bytes_to_fetch for a in of_split),
            ", ".join(notes),
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        keys = ("what", "requested", "existing", "bytes", "note")
        return {
            "folder": str(self.folder),
            "classes": list(self.classes),
            "mask_rows": self.rows,
            "bytes_to_fetch": self.bytes_to_fetch,
            "items": [dict(zip(keys, line, strict=True)) for line in self.lines()],
        }


def _archive_note(plan: ArchivePlan) -> str:
    if plan.existing == plan.requested:
        return ""
    if plan.remote is None:
        return "cannot be fetched"
    if plan.whole:
        return "whole: the server does not support ranges"
    return f"{len(plan.blocks)} ranges of {plan.size} bytes"


def _photo_note(plan: PhotoPlan) -> str:
    if not plan.missing:
        return ""
    return f"estimated from {plan.sampled}" if plan.sampled else "size unknown"


@dataclass(frozen=True)
class Failure:
    """A requested thing that could not be fetched. `kind` is table, mask, photo, row or member (of a zip)."""

    kind: str
    split: str
    file: str
    reason: str


@dataclass(frozen=True)
class DownloadSummary:
    """The result of a download.

    Attributes:
        plan: what was planned.
        fetched: number of fetched files, by kind.
        existing: number of requested files that were there before, by kind.
        failed: what could not be fetched.
        requests: number of responses.
        received: bytes of their bodies.
        seconds: duration.
        done: False for a dry run.
    """

    plan: DownloadPlan
    fetched: dict[str, int]
    existing: dict[str, int]
    failed: tuple[Failure, ...]
    requests: int
    received: int
    seconds: float
    done: bool

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "plan": self.plan.as_dict(),
            "dry_run": not self.done,
            "fetched": self.fetched,
            "existing": self.existing,
            "failed": [asdict(f) for f in self.failed],
            "requests": self.requests,
            "received_bytes": self.received,
            "seconds": round(self.seconds, 3),
        }
