"""What has been fetched and found good: one line a file, so that a rerun need not look into it again."""

import hashlib
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as it was when it was found good. `changed` is its time of change in nanoseconds."""

    size: int
    changed: int
    md5: str


class Ledger:
    """The lines of `ledger.jsonl`, read at the start and added to. A context manager; safe to use from several threads.

    A file counts as good while its size and time of change are those of its line, or else if its MD5 is. A line that
    was cut when the program was killed is passed over: its file is then looked at afresh.
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
        """Whether `path` is there and is the file that was found good."""
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
        """Whether `path` was once found good: if it is not held now, it was changed since."""
        return self._name(path) in self._entries

    def add(self, path: Path, md5: str | None = None) -> None:
        """Note that `path` is good."""
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
                    told = json.loads(line)
                    entries[told["file"]] = Entry(int(told["size"]), int(told["changed"]), str(told["md5"]))
                except (ValueError, KeyError, TypeError):
                    continue
    return entries


def _is_torn(path: Path) -> bool:
    """Whether the last line has no end."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"


def md5_of(path: Path) -> str:
    """The MD5 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
