"""The folder beside the data set in which a build keeps what is done, so that a rerun goes on after any interruption.

Photos are converted in chunks. What came of a chunk is one file, named by a checksum of all that it depends on: rows,
settings, and size and time of change of photos and archives. So a rerun takes up what still holds, and nothing else.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from clothseg.errors import ClothsegError
from clothseg.files import atomic_write, replace_file
from clothseg.openimages.archives import MaskArchive
from clothseg.openimages.build.convert import Converted, PhotoJob, Settings

_FORMAT = 1


class WorkFolder:
    """`.NAME.building` beside the data set NAME: `chunks/`, and `data/`, the data set to be."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out.with_name(f".{out.name}.building")
        self.data, self.chunks = self.folder / "data", self.folder / "chunks"
        self.images = self.data / "images"
        self._new_parents = [place for place in out.parents if not place.exists()]

    @contextmanager
    def open(self, photos_depend_on: Mapping[str, Any]) -> Iterator[None]:
        """Take the folder for this build alone; what an earlier build left stays if its photos were made alike.

        Raises:
            ClothsegError: another build for the same data set is running.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "lock")
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise ClothsegError(f"{self.out}: another build is making it right now ({self.folder})") from error
        try:
            self._clear_unlike(json.dumps({"format": _FORMAT, **photos_depend_on}, sort_keys=True))
            yield
        finally:
            lock.release()

    def _clear_unlike(self, facts: str) -> None:
        known = self.folder / "made-with.json"
        if not known.is_file() or known.read_text(encoding="utf-8") != facts:
            shutil.rmtree(self.data, ignore_errors=True)
            shutil.rmtree(self.chunks, ignore_errors=True)
        atomic_write(known, facts)
        self.images.mkdir(parents=True, exist_ok=True)
        self.chunks.mkdir(exist_ok=True)

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for place in self._new_parents:
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()

    def publish(self) -> None:
        """Put the finished data set in its place; one that was there goes only when the new one is whole."""
        replaced = self.folder / "replaced"
        if self.out.exists():
            shutil.rmtree(replaced, ignore_errors=True)
            replace_file(self.out, replaced)
        replace_file(self.data, self.out)
        self.remove()

    def chunk(self, key: str) -> Path:
        """The file of a chunk, whether it is there or not."""
        return self.chunks / f"{key}.json"


def chunk_key(jobs: Iterable[PhotoJob], settings: Settings, archive: MaskArchive) -> str:
    """A checksum of all that the conversion of these photos depends on."""
    facts: list[Any] = [_FORMAT, {k: str(v) if isinstance(v, Path) else v for k, v in vars(settings).items()}]
    for job in jobs:
        photo = settings.photos / f"{job.image_id}.jpg"
        stamp = (photo.stat().st_size, photo.stat().st_mtime_ns) if photo.exists() else None
        masks = [(asdict(row), archive.stamp(row.mask_path)) for row in job.masks]
        facts.append([job.image_id, stamp, job.rotation, masks, [asdict(box) for box in job.boxes]])
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def write_chunk(path: Path, photos: Iterable[Converted]) -> None:
    """Write what came of a chunk, whole or not at all."""
    atomic_write(path, json.dumps([vars(photo) for photo in photos], ensure_ascii=False, separators=(",", ":")))


def read_chunk(path: Path) -> list[Converted]:
    """What `write_chunk` wrote."""
    photos = [Converted(**values) for values in json.loads(path.read_text(encoding="utf-8"))]
    for photo in photos:
        photo.dropped = [(d[0], d[1], d[2], d[3]) for d in photo.dropped]
        photo.unmasked = [(mid, tuple(box), tuple(flags)) for mid, box, flags in photo.unmasked]  # type: ignore[misc]
    return photos
