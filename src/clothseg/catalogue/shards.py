"""Cuts a stream of photos into shards, and chooses those of one job. Only one shard is in memory."""

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from clothseg.errors import ClothsegError

DEFAULT_SIZE = 1000


class Listed(NamedTuple):
    """A photo in a list: its name there, which identifies it in the results, and its path or URL."""

    name: str
    place: str


class CataloguePhoto(NamedTuple):
    """A photo of a catalogue. `photo_id` is its position in the whole catalogue, from 1."""

    photo_id: int
    name: str
    place: str


@dataclass(frozen=True)
class Shard:
    """Consecutive photos of a catalogue.

    Attributes:
        number: from 1.
        photos: N photos; fewer in the last shard.
        list_before: SHA-256 of the names of all photos before this shard.
        list_after: the same with those of this shard. Two lists that agree up to here have the same.
        is_last: whether the catalogue ends here.
    """

    number: int
    photos: tuple[CataloguePhoto, ...]
    list_before: str
    list_after: str
    is_last: bool

    @property
    def name(self) -> str:
        """`shard-000012`: the stem of its files."""
        return shard_name(self.number)


@dataclass(frozen=True)
class Share:
    """A job among several: the third of 40 does the shards 3, 43, 83 and so on."""

    job: int = 1
    jobs: int = 1

    def __str__(self) -> str:
        """`3/40`."""
        return f"{self.job}/{self.jobs}"

    def has(self, number: int) -> bool:
        """Whether this job does the shard of this number."""
        return number % self.jobs == self.job % self.jobs


def parse_share(text: str) -> Share:
    """The share that `3/40` says.

    Raises:
        ClothsegError: it is something else, or the job is not one of 1 to 40.
    """
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
    if not found or not int(found[2]):
        raise ClothsegError(f"--shard {text!r}: write it as JOB/JOBS, counted from 1, such as 3/40")
    if not 1 <= int(found[1]) <= int(found[2]):
        jobs = int(found[2])
        raise ClothsegError(f"--shard {text!r}: of {jobs} jobs the first is 1/{jobs} and the last {jobs}/{jobs}")
    return Share(int(found[1]), int(found[2]))


def shard_name(number: int) -> str:
    """`shard-000012`."""
    return f"shard-{number:06d}"


def shard_number(file_name: str) -> int | None:
    """The number in `shard-000012.parquet`; None for other names."""
    found = re.fullmatch(r"shard-(\d{6,})(\.[a-z]+)?", file_name)
    return int(found[1]) if found else None


def shards_of(listed: Iterable[Listed], size: int) -> Iterator[Shard]:
    """Yields the shards of a catalogue.

    Args:
        listed: its photos.
        size: number of photos in a shard.
    """
    digest = hashlib.sha256()
    numbered = (CataloguePhoto(number, *photo) for number, photo in enumerate(listed, start=1))
    photos = tuple(itertools.islice(numbered, size))
    for number in itertools.count(1):
        if not photos:
            return
        following = tuple(itertools.islice(numbered, size))
        before = digest.hexdigest()
        for photo in photos:
            digest.update(photo.name.encode("utf-8", "surrogatepass") + b"\0")
        yield Shard(number, photos, before, digest.hexdigest(), is_last=not following)
        photos = following
