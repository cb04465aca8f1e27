"""Mask pictures from the published zips, one for each partition, or from folders with unpacked masks."""

import os
import re
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from types import TracebackType

from clothseg.errors import DataError, reading

# An uncompressed mask of 1600 x 1200 pixels has 240 kB with 1 bit a pixel, 2 MB with 8.
_MAX_BYTES = 32_000_000


class MissingMaskError(DataError):
    """No file has this mask. The message lists the places."""


class MaskArchive:
    """The masks of one split. Zips are opened when they are needed. A context manager that closes the zips.

    The places for split `train` and partition `f`, in this order: loose files in `train-masks/`,
    `train-masks/train-masks-f/` or `train-masks-f/`; the zips `train-masks/train-masks-f.zip` or `train-masks-f.zip`,
    with or without folders inside. Nothing is unpacked to disk. Members with `..` or an absolute path are not read.

    Raises:
        DataError: none of these places exists.
    """

    def __init__(self, source: Path, split: str) -> None:
        self._source = source
        self._split = split
        self._zips: dict[str, _MaskZip | DataError | None] = {}
        if not any(source.glob(f"{split}-masks*")):
            raise DataError(
                f"{source / f'{split}-masks'}: no such folder; it should have the zips with the {split} masks"
            )

    def __enter__(self) -> "MaskArchive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for opened in self._zips.values():
            if isinstance(opened, _MaskZip):
                opened.file.close()

    def read(self, mask_path: str) -> bytes:
        """Returns the bytes of the PNG `mask_path`. Folders in this path are ignored.

        Raises:
            MissingMaskError: no folder and no zip has it.
            DataError: its file or zip cannot be read.
        """
        name = PurePosixPath(mask_path).name
        loose = self._loose(name)
        if loose is not None:
            return _read_loose(loose)
        opened = self._zip(name[:1])
        if isinstance(opened, DataError):
            raise opened
        if opened is None:
            masks = self._source / f"{self._split}-masks"
            raise MissingMaskError(f"{name}: not in {masks}, and there is no {self._partition(name[:1])}.zip")
        return opened.read(name)

    def stamp(self, mask_path: str) -> tuple[str, int, int] | None:
        """Name, size and modification time (ns) of the file or zip that has a mask; None if there is none."""
        name = PurePosixPath(mask_path).name
        path = self._loose(name) or self._zip_path(name[:1])
        if path is None:
            return None
        state = path.stat()
        return path.name, state.st_size, state.st_mtime_ns

    def unnamed(self, partitions: Collection[str], named: Collection[str]) -> list[str]:
        """Masks in the zips of `partitions` that are not in `named`, and members with an unsafe path."""
        unnamed = []
        for digit in sorted(partitions):
            opened = self._zip(digit)
            if isinstance(opened, _MaskZip):
                unnamed += [*opened.refused, *(n for n in opened.names if n not in named)]
        return sorted(unnamed)

    def _partition(self, digit: str) -> str:
        return f"{self._split}-masks-{digit}"

    def _loose(self, name: str) -> Path | None:
        masks, partition = self._source / f"{self._split}-masks", self._partition(name[:1])
        places = (masks / name, masks / partition / name, self._source / partition / name)
        return next((place for place in places if os.path.isfile(place)), None)

    def _zip_path(self, digit: str) -> Path | None:
        name = f"{self._partition(digit)}.zip"
        places = (self._source / f"{self._split}-masks" / name, self._source / name)
        return next((p for p in places if p.is_file()), None)

    def _zip(self, digit: str) -> "_MaskZip | DataError | None":
        if digit not in self._zips:
            path = self._zip_path(digit)
            try:
                self._zips[digit] = _MaskZip(path) if path else None
            except DataError as error:
                self._zips[digit] = error
        return self._zips[digit]


def _read_loose(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(
                f"{path}: {path.stat().st_size} bytes, but a mask has at most {_MAX_BYTES}; download it again"
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: the mask cannot be read ({error})") from error


class _MaskZip:
    """One zip and its members by base name. `refused` lists members whose path leads out of a folder."""

    def __init__(self, path: Path) -> None:
        with reading(path, DataError, "download it again"):
            self.file = zipfile.ZipFile(path)
        self._members: dict[str, zipfile.ZipInfo] = {}
        self.refused: list[str] = []
        for member in self.file.infolist():
            if member.filename.endswith("/"):
                continue
            # `orig_filename` is the name in the file; `filename` is a cleaned version of it.
            inside = PurePosixPath(member.orig_filename.replace("\\", "/"))
            if inside.is_absolute() or ".." in inside.parts or re.match("[A-Za-z]:", str(inside)):
                self.refused.append(member.orig_filename)
            else:
                self._members.setdefault(inside.name, member)

    @property
    def names(self) -> Collection[str]:
        """Base names of the members that can be read."""
        return self._members.keys()

    def read(self, name: str) -> bytes:
        member = self._members.get(name)
        if member is None:
            refused = next((path for path in self.refused if PurePosixPath(path).name == name), None)
            hint = f", except under the unsafe path {refused}" if refused else ""
            raise MissingMaskError(f"{name}: not in {self.file.filename}{hint}")
        if member.file_size > _MAX_BYTES:
            raise DataError(
                f"{self.file.filename}: {name} has {member.file_size} unpacked bytes; a mask has at most {_MAX_BYTES}"
            )
        with reading(f"{self.file.filename}: {name}", DataError, "download the zip again"):
            return self.file.read(member)
