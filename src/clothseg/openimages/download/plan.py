"""What is to be fetched, with sizes, before it is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clothseg.openimages.download.remote_zip import Block
from clothseg.openimages.download.web import Remote


@dataclass(frozen=True)
class TablePlan:
    """A table. `size` in bytes as the server tells it; `remote` is None where the table is there or cannot be had."""

    name: str
    path: Path
    size: int | None
    there: bool
    remote: Remote | None
    md5: str | None = None
    first_column: str | None = None


@dataclass(frozen=True)
class ArchivePlan:
    """The masks of one partition.

    Attributes:
        name: of the zip.
        wanted: masks that are asked for.
        there: of them, those that are there already.
        size: of the whole zip, in bytes, where known.
        blocks: byte ranges that bring what is missing; empty if the zip must be fetched whole.
        directory_bytes: what was read to know the ranges.
        whole: the server sends no ranges.
        remote: None where nothing is missing, or the zip cannot be had.
    """

    split: str
    partition: str
    name: str
    wanted: int
    there: int
    size: int | None = None
    blocks: Sequence[Block] = ()
    directory_bytes: int = 0
    whole: bool = False
    remote: Remote | None = None

    @property
    def bytes_to_fetch(self) -> int:
        """Of ranges, or of the whole zip."""
        if self.whole:
            return self.size or 0
        return sum(block.stop - block.start for block in self.blocks)


@dataclass(frozen=True)
class PhotoPlan:
    """The photos of one split. `mean_size` in bytes is that of `sampled` of them; 0 where none could be asked for."""

    split: str
    wanted: int
    missing: Sequence[str]
    mean_size: int
    sampled: int

    @property
    def bytes_to_fetch(self) -> int:
        """An estimate."""
        return self.mean_size * len(self.missing)


@dataclass(frozen=True)
class DownloadPlan:
    """All of it. Sizes of tables and masks are exact, those of photos estimated."""

    folder: Path
    classes: tuple[str, ...]
    rows: dict[str, dict[str, int]]
    tables: list[TablePlan]
    archives: list[ArchivePlan]
    photos: list[PhotoPlan]

    @property
    def bytes_to_fetch(self) -> int:
        """Tables, masks and photos that are not there yet."""
        tables = sum(t.size or 0 for t in self.tables if not t.there)
        return tables + sum(a.bytes_to_fetch for a in self.archives) + sum(p.bytes_to_fetch for p in self.photos)

    def lines(self) -> list[tuple[str, int, int, int, str]]:
        """A line for each table, zip, and split of photos: name, wanted, there, bytes to fetch, a word on it."""
        found = [
            (t.name, 1, int(t.there), 0 if t.there else t.size or 0, "" if t.there or t.size else "size not told")
            for t in self.tables
        ]
        found += [(a.name, a.wanted, a.there, a.bytes_to_fetch, _how(a)) for a in self.archives]
        return found + [
            (f"{p.split} photos", p.wanted, p.wanted - len(p.missing), p.bytes_to_fetch, _guess(p)) for p in self.photos
        ]

    def short(self) -> list[tuple[str, int, int, int, str]]:
        """The same with one line for all zips of a split."""
        found = self.lines()
        tables, photos = found[: len(self.tables)], found[len(self.tables) + len(self.archives) :]
        return tables + [self._masks(p.split) for p in self.photos] + photos

    def _masks(self, split: str) -> tuple[str, int, int, int, str]:
        of_split = [a for a in self.archives if a.split == split]
        ranges = sum(len(a.blocks) for a in of_split)
        ranged = sum(bool(a.blocks) for a in of_split)
        notes = [f"{ranges} ranges of {ranged} zips"] if ranges else []
        whole = sum(a.whole for a in of_split)
        notes += [f"{whole} whole zips: the server sends no ranges"] if whole else []
        lost = sum(a.there < a.wanted and a.remote is None for a in of_split)
        notes += [f"{lost} zips cannot be had"] if lost else []
        return (
            f"{split} masks",
            sum(a.wanted for a in of_split),
            sum(a.there for a in of_split),
            sum(a.bytes_to_fetch for a in of_split),
            ", ".join(notes),
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        keys = ("what", "wanted", "there", "bytes", "note")
        return {
            "folder": str(self.folder),
            "classes": list(self.classes),
            "mask_rows": self.rows,
            "bytes_to_fetch": self.bytes_to_fetch,
            "items": [dict(zip(keys, line, strict=True)) for line in self.lines()],
        }


def _how(plan: ArchivePlan) -> str:
    if plan.there == plan.wanted:
        return ""
    if plan.remote is None:
        return "cannot be had"
    if plan.whole:
        return "whole: the server sends no ranges"
    return f"{len(plan.blocks)} ranges of {plan.size} bytes"


def _guess(plan: PhotoPlan) -> str:
    if not plan.missing:
        return ""
    return f"estimated from {plan.sampled}" if plan.sampled else "size not told"


@dataclass(frozen=True)
class Failure:
    """Something that was wanted and is not there. `kind` is table, mask, photo, row or member (of a zip)."""

    kind: str
    split: str
    file: str
    reason: str


@dataclass(frozen=True)
class DownloadSummary:
    """What came of it.

    Attributes:
        plan: what was to be done.
        fetched: files that came now, by kind.
        there: wanted files that were there before, by kind.
        failed: what is not there.
        requests, received: answers of the servers and bytes of their bodies.
        seconds: it took.
        done: False of a dry run.
    """

    plan: DownloadPlan
    fetched: dict[str, int]
    there: dict[str, int]
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
            "there_before": self.there,
            "failed": [asdict(f) for f in self.failed],
            "requests": self.requests,
            "received_bytes": self.received,
            "seconds": round(self.seconds, 3),
        }
