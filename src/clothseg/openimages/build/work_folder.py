"""The folder beside the data set in which a build keeps what is done, so that a rerun goes on after any interruption.

Photos are converted in chunks. What came of a chunk is one file, named by a checksum of all that it depends on: rows,
settings, and size and time of change of photos and archives. So a rerun takes up what still holds, and nothing else.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
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
        self._lock_file = self.folder / "lock"
        self._new_parents = [parent for parent in out.parents if not parent.exists()]
        self._removed = False

    @contextmanager
    def open(self, photos_depend_on: Mapping[str, Any]) -> Iterator[None]:
        """Take the folder for this build alone; what an earlier build left stays if its photos were made alike.

        Raises:
            ClothsegError: another build for the same data set is running.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._lock_file)
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise ClothsegError(f"{self.out}: another build is making it right now ({self.folder})") from error
        try:
            self._clear_unlike(json.dumps({"format": _FORMAT, **photos_depend_on}, sort_keys=True))
            yield
        finally:
            lock.release()
            if self._removed:
                self._remove_lock()

    def _clear_unlike(self, facts: str) -> None:
        known = self.folder / "made-with.json"
        if not known.is_file() or known.read_text(encoding="utf-8") != facts:
            shutil.rmtree(self.data, ignore_errors=True)
            shutil.rmtree(self.chunks, ignore_errors=True)
        atomic_write(known, facts)
        self.images.mkdir(parents=True, exist_ok=True)
        self.chunks.mkdir(exist_ok=True)

    def remove(self) -> None:
        """Deletes the content of the folder. `open` deletes the lock file and the folder when it releases the lock.

        The lock file is open until then, and Windows does not delete open files.
        """
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path != self._lock_file:
                path.unlink(missing_ok=True)
        self._removed = True

    def _remove_lock(self) -> None:
        """Deletes the lock file, the folder and the parent folders that this build created, if they are empty."""
        with suppress(OSError):  # another build may have locked the folder again
            self._lock_file.unlink(missing_ok=True)
            self.folder.rmdir()
            for parent in self._new_parents:
                if parent.is_dir():
                    parent.rmdir()

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
