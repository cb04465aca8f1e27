"""Mask pictures: out of the published zips, one a partition, or out of folders where somebody unpacked them."""

import zipfile
import zlib
from pathlib import Path, PurePosixPath
from types import TracebackType

from clothseg.errors import DataError


class MissingMaskError(DataError):
    """No file holds this mask. The message says which were looked for."""


class MaskArchive:
    """The masks of one split, opened as they are asked for. A context manager: leaving it closes the zips.

    Looked for, in this order, for split `train` and partition `f`: loose in `train-masks/`,
    `train-masks/train-masks-f/` or `train-masks-f/`; in `train-masks/train-masks-f.zip` or `train-masks-f.zip`, with
    or without folders inside.

    Raises:
        DataError: none of these places exists.
    """

    def __init__(self, source: Path, split: str) -> None:
        self._source = source
        self._split = split
        self._zips: dict[str, _MaskZip | None] = {}
        if not any(source.glob(f"{split}-masks*")):
            raise DataError(f"{source / f'{split}-masks'}: no such folder; it holds the zips with the {split} masks")

    def __enter__(self) -> "MaskArchive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for opened in self._zips.values():
            if opened is not None:
                opened.file.close()

    def read(self, mask_path: str) -> bytes:
        """The PNG called `mask_path`; its folders, if it has any, do not count.

        Raises:
            MissingMaskError: it is in no folder and no zip.
            DataError: the file or zip that holds it cannot be read.
        """
        name = PurePosixPath(mask_path).name
        partition = f"{self._split}-masks-{name[:1]}"
        masks = self._source / f"{self._split}-masks"
        for loose in (masks / name, masks / partition / name, self._source / partition / name):
            if loose.is_file():
                return self._loose(loose)
        opened = self._zip(partition)
        if opened is None:
            raise MissingMaskError(f"{name}: neither loose in {masks} nor is there a {partition}.zip")
        return opened.read(name)

    @staticmethod
    def _loose(path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: the mask cannot be read ({error})") from error

    def _zip(self, partition: str) -> "_MaskZip | None":
        if partition not in self._zips:
            places = (self._source / f"{self._split}-masks" / f"{partition}.zip", self._source / f"{partition}.zip")
            path = next((p for p in places if p.is_file()), None)
            self._zips[partition] = _MaskZip(path) if path else None
        return self._zips[partition]


class _MaskZip:
    """One zip and its members by base name."""

    def __init__(self, path: Path) -> None:
        try:
            self.file = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{path}: not a zip that can be read ({error}); fetch it again") from error
        self._members = {PurePosixPath(m.filename).name: m for m in self.file.infolist() if not m.is_dir()}

    def read(self, name: str) -> bytes:
        member = self._members.get(name)
        if member is None:
            raise MissingMaskError(f"{name}: not in {self.file.filename}")
        try:
            return self.file.read(member)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError) as error:
            raise DataError(f"{self.file.filename}: {name} cannot be read ({error}); fetch the zip again") from error
