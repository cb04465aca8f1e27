"""The folder of the results: on this machine, or a prefix on a remote store. Each file appears whole."""

import secrets
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clothseg.catalogue.names import is_url, local_path
from clothseg.catalogue.remote import filesystem_of, with_retries
from clothseg.errors import DataError, GoneError, reading
from clothseg.files import atomic_file
from clothseg.http.client import RetryPolicy
from clothseg.writable import require_writable


@dataclass(frozen=True)
class Store:
    """A folder by its path or URL. Files are named relative to it: `detections/shard-000001.parquet`.

    Attributes:
        root: path or URL.
        policy: attempts and waits for a remote store.
    """

    root: str
    policy: RetryPolicy | None = None

    def url(self, name: str) -> str:
        """The path or URL of a file."""
        return f"{self.root.rstrip('/')}/{name}" if is_url(self.root) else str(self._path(name))

    def require_writable(self, folders: Iterable[str] = ()) -> None:
        """Checks that files can be written; nothing is left of the trial.

        Args:
            folders: in which there will be files.

        Raises:
            DownloadError: the remote store refuses, or does not answer.
            ClothsegError: the folder on this machine cannot be written, or is a file.
        """
        if not is_url(self.root):
            for folder in ("", *folders):
                require_writable(self._path(folder), folder=True)
            return
        files, place = filesystem_of(self.url(f".{secrets.token_hex(8)}"))
        with_retries(lambda: files.pipe_file(place, b""), self.root, self.policy)
        with_retries(lambda: files.rm(place), self.root, self.policy)

    def write(self, name: str, content: bytes) -> None:
        """Writes a file in one step: renamed from a temporary name, or by one upload.

        Raises:
            DownloadError: the remote store refuses, or does not answer.
            OSError: the disk cannot be written. The error names the file, and nothing of it is left.
        """
        if not is_url(self.root):
            path = self._path(name)
            with atomic_file(path, path.with_name(f".{path.name}~{secrets.token_hex(4)}")) as temporary:
                temporary.write_bytes(content)
            return
        files, place = filesystem_of(self.url(name))
        with_retries(lambda: files.pipe_file(place, content), self.url(name), self.policy)

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            DataError: it cannot be read.
            DownloadError: the remote store refuses, or does not answer.
        """
        if not is_url(self.root):
            with reading(self._path(name), DataError):
                return self._path(name).read_bytes()
        files, path = filesystem_of(self.url(name))
        content: bytes = with_retries(lambda: files.cat_file(path), self.url(name), self.policy)
        return content

    def names(self, folder: str = "") -> list[str]:
        """The names of what is directly in a folder, sorted; an empty list if it does not exist."""
        if not is_url(self.root):
            place = self._path(folder)
            return sorted(path.name for path in place.iterdir()) if place.is_dir() else []
        files, path = filesystem_of(self.url(folder).rstrip("/"))
        if not with_retries(lambda: files.isdir(path), self.url(folder), self.policy):
            return []
        found = with_retries(lambda: files.ls(path, detail=False), self.url(folder), self.policy)
        return sorted({name.rstrip("/").rpartition("/")[2] for name in found if name.rstrip("/") != path.rstrip("/")})

    def delete(self, name: str) -> None:
        """Deletes a file or a folder with all that is in it; nothing happens if it does not exist."""
        if is_url(self.root):
            files, path = filesystem_of(self.url(name))
            with suppress(GoneError):
                with_retries(lambda: files.rm(path, recursive=True), self.url(name), self.policy)
            return
        place = self._path(name)
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)

    def remove_leftovers(self, folder: str, chosen: Callable[[str], bool] = lambda name: True) -> None:
        """Deletes temporary files that killed processes have left on this machine.

        Args:
            folder: where they are.
            chosen: whether to delete that of the file of this name; another process may still write it.
        """
        place = self._path(folder)
        for left in place.glob(".*~*") if not is_url(self.root) and place.is_dir() else ():
            if chosen(left.name[1:].rpartition("~")[0]):
                left.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return Path(local_path(self.root)) / name
