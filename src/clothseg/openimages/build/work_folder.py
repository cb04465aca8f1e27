"""The folder beside the dataset in which a build keeps finished work, so that a rerun resumes after an interruption.

Photos are converted in chunks. The result of a chunk is one file. Its name is a checksum of all that it depends on:
rows, settings, and size and modification time of photos and archives. So a rerun uses only results that still hold.
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
from clothseg.openimages.build.convert import ConvertedPhoto, ConvertSettings, PhotoJob
from clothseg.photos import photo_exists

_FORMAT = 2


class WorkFolder:
    """`.NAME.building` beside the dataset NAME. It has `chunks/`, and `data/`, which becomes the dataset."""

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
        """Locks the folder for this build. The work of an earlier build is kept if it made its photos in the same way.

        Args:
            photos_depend_on: the options that change the photos.

        Raises:
            ClothsegError: another build for the same dataset is running.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._lock_file)
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise ClothsegError(
                f"{self.out}: another build is writing it ({self.folder}); wait until it ends"
            ) from error
        try:
            self._clear_if_different(json.dumps({"format": _FORMAT, **photos_depend_on}, sort_keys=True))
            yield
        finally:
            lock.release()
            if self._removed:
                self._remove_lock()

    def _clear_if_different(self, facts: str) -> None:
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
        """Moves the finished dataset to its place. An older one is removed after that."""
        replaced = self.folder / "replaced"
        if self.out.exists():
            shutil.rmtree(replaced, ignore_errors=True)
            replace_file(self.out, replaced)
        replace_file(self.data, self.out)
        self.remove()

    def chunk(self, key: str) -> Path:
        """The path of a chunk's file, whether it exists or not."""
        return self.chunks / f"{key}.json"


def chunk_key(jobs: Iterable[PhotoJob], settings: ConvertSettings, archive: MaskArchive) -> str:
    """A checksum of everything that the conversion of these photos depends on."""
    facts: list[Any] = [_FORMAT, {k: str(v) if isinstance(v, Path) else v for k, v in vars(settings).items()}]
    for job in jobs:
        photo = settings.photos / f"{job.image_id}.jpg"
        stamp = (photo.stat().st_size, photo.stat().st_mtime_ns) if photo_exists(photo) else None
        masks = [(asdict(row), archive.stamp(row.mask_path)) for row in job.masks]
        facts.append([job.image_id, stamp, job.rotation, masks, [asdict(box) for box in job.boxes]])
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def write_chunk(path: Path, photos: Iterable[ConvertedPhoto]) -> None:
    """Writes the results of a chunk in one step."""
    atomic_write(path, json.dumps([vars(photo) for photo in photos], ensure_ascii=False, separators=(",", ":")))


def read_chunk(path: Path) -> list[ConvertedPhoto]:
    """Reads what `write_chunk` wrote."""
    photos = [ConvertedPhoto(**values) for values in json.loads(path.read_text(encoding="utf-8"))]
    for photo in photos:
        photo.dropped = [(d[0], d[1], d[2], d[3]) for d in photo.dropped]
        photo.boxes_without_mask = [
            (mid, tuple(box), tuple(flags))  # type: ignore[misc]
            for mid, box, flags in photo.boxes_without_mask
        ]
    return photos
