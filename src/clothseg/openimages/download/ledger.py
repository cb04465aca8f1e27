"""The list of fetched and verified files, so that a rerun does not have to read them again."""

import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from clothseg.errors import DataError
from clothseg.http import md5_of


@dataclass(frozen=True, slots=True)
class Entry:
    """A file when it was verified. `changed` is its modification time in nanoseconds; `md5` is in hex."""

    size: int
    changed: int
    md5: str


class Ledger:
    """The lines of `ledger.jsonl`, one for each verified file. A context manager; safe to use from several threads.

    A file counts as verified while its size and modification time are those of its line, or else if its MD5 is. A line
    that was cut because the program was killed is ignored; its file is verified again.
    """

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self._entries = _read(path)
        self._lock = threading.Lock()
        torn = _is_torn(path)
        self._stream = path.open("a", encoding="utf-8", newline="\n")
        if torn:
            self._stream.write("\n")

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def holds(self, path: Path) -> bool:
        """Whether `path` exists and is still the verified file."""
        entry = self._entries.get(self._name(path))
        if entry is None or not path.is_file():
            return False
        state = path.stat()
        if state.st_size != entry.size:
            return False
        if state.st_mtime_ns == entry.changed:
            return True
        if md5_of(path) != entry.md5:
            return False
        self.add(path, entry.md5)
        return True

    def knows(self, path: Path) -> bool:
        """Whether `path` was verified at some time. If the ledger does not hold it now, it has changed since."""
        return self._name(path) in self._entries

    def accepts(self, path: Path, check: Callable[[Path], None]) -> bool:
        """Whether `path` is verified. A file that the ledger does not know is verified by `check` and added.

        Args:
            path: the file; it may be absent.
            check: raises DataError if the file is wrong.
        """
        if self.knows(path):
            return self.holds(path)
        try:
            check(path)
        except DataError:
            return False
        self.add(path)
        return True

    def add(self, path: Path, md5: str = "") -> None:
        """Adds a verified file. Its MD5 is computed if it is not given."""
        state = path.stat()
        entry = Entry(state.st_size, state.st_mtime_ns, md5 or md5_of(path))
        name = self._name(path)
        line = json.dumps({"file": name, "size": entry.size, "changed": entry.changed, "md5": entry.md5})
        with self._lock:
            self._entries[name] = entry
            self._stream.write(line + "\n")
            self._stream.flush()

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def _read(path: Path) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                    entries[row["file"]] = Entry(int(row["size"]), int(row["changed"]), str(row["md5"]))
                except (ValueError, KeyError, TypeError):
                    continue
    return entries


def _is_torn(path: Path) -> bool:
    """Whether the last line has no line end."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"
