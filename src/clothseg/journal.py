"""Records of finished work in an output folder, so that a command that was stopped continues where it was.

A record is one line of JSON, written when its files are complete. So after Ctrl-C, a kill or a full disk the records
are right for all that was finished; at most the last line is cut, and is ignored.
"""

import hashlib
import heapq
import itertools
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from clothseg.changed_work import changed_input, changed_settings, named_settings
from clothseg.counting import counted
from clothseg.errors import ClothsegError
from clothseg.files import remove_temporary, require_absent
from clothseg.writable import LOCK_NAME, require_writable

Record = dict[str, Any]
"""`number` is the position among the inputs, from 1; `problem` is not empty if it could not be done."""
_NAME = ".unfinished-"
_KEY, _INPUT = "unfinished", "input"  # in the first line, the work; in each other one, the name of the input


@dataclass(frozen=True)
class Journal:
    """The records of one command in a folder.

    Attributes:
        folder: the output folder.
        key: a text that is the same for the same work: inputs and settings. Work with another key is not continued.
        inputs: their names, in the order of their numbers.
        settings: what the key is made of, as `named_settings` gives it, to say what has changed.
    """

    folder: Path
    key: str
    inputs: Sequence[str]
    settings: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path, work: object, inputs: Sequence[Path], options: Mapping[str, object]) -> "Journal":
        """The records of work on some inputs; the arguments are those of `named_settings`."""
        names = [str(path) for path in inputs]
        key = work_key({"of": work, "inputs": names, "options": options})
        return cls(folder, key, names, named_settings(work, options))

    def begin(self, *, overwrite: bool = False) -> bool:
        """Checks that the work may begin or continue in the folder.

        Returns:
            Whether there are records of the same work.

        Raises:
            ClothsegError: the folder has other files, or unfinished other work, and `overwrite` is not set.
        """
        if overwrite or not is_unfinished(self.folder):
            require_absent(self.folder, overwrite=overwrite)
            return False
        for path in _files(self.folder):
            if (before := _header(path)).get(_KEY) != self._digest:
                raise ClothsegError(
                    f"{self.folder} has unfinished results of other inputs or settings{self._changed(before)}; repeat "
                    "that command to finish them, choose another place, or add --overwrite to replace them"
                )
        return True

    @contextmanager
    def writer(self) -> Iterator[Callable[[Record], None]]:
        """Yields a function that adds a record; several processes may write at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{_NAME}{secrets.token_hex(4)}"
        begun = False
        with path.open("x", encoding="utf-8") as file:
            file.write(json.dumps({_KEY: self._digest, "settings": self.settings, "inputs": len(self.inputs)}) + "\n")
            file.flush()

            def add(record: Record) -> None:
                nonlocal begun
                begun = True
                file.write(json.dumps(record | {_INPUT: self.inputs[record["number"] - 1]}) + "\n")
                file.flush()

            try:
                yield add
            finally:
                with suppress(OSError):  # the disk is full: what was flushed is there
                    file.close()
                if not begun:
                    path.unlink()

    @contextmanager
    def records(self) -> Iterator[Iterator[Record]]:
        """The records of all processes in the order of their numbers, one for each number; few are in memory."""
        with _all_records(self.folder) as records:
            yield ({name: value for name, value in record.items() if name != _INPUT} for record in records)

    def done(self) -> set[int]:
        """The numbers of the inputs that were finished without a problem."""
        with self.records() as records:
            return {record["number"] for record in records if not record.get("problem")}

    def remove(self) -> None:
        """Deletes the records: all is finished, or begins anew."""
        for path in _files(self.folder):
            path.unlink()

    @property
    def _digest(self) -> str:
        return hashlib.sha256(self.key.encode("utf-8", "surrogatepass")).hexdigest()

    def _changed(self, before: Mapping[str, Any]) -> str:
        """What is different now from the work whose first line is `before`; the empty string if that is not known."""
        settings, count = before.get("settings"), before.get("inputs")
        if not isinstance(settings, dict) or not isinstance(count, int):
            return ""  # of an earlier version
        now = dict(enumerate(self.inputs, start=1))
        with _all_records(self.folder) as records:
            other = changed_input({record["number"]: record.get(_INPUT, "") for record in records}, now, "input")
        if not other and count != len(now):
            other = f"there were {counted(count, 'input')}, and there are {len(now):,} now"
        changed = changed_settings(settings, self.settings, also=other)
        return changed or " (an input that was not done yet is another one now)"


def require_absent_or_unfinished(folder: Path, *, overwrite: bool = False) -> None:
    """Like `files.require_absent`, but a folder with unfinished work is allowed: `Journal.begin` checks it later."""
    if is_unfinished(folder):
        require_writable(folder)
    else:
        require_absent(folder, overwrite=overwrite)


def is_unfinished(folder: Path) -> bool:
    """Whether a folder has records of unfinished work."""
    return bool(_files(folder))


def work_key(facts: Mapping[str, object]) -> str:
    """The key of a journal from facts about the work; paths and other values are taken as text."""
    return json.dumps(facts, sort_keys=True, default=str)


@contextmanager
def folder_lock(folder: Path, of: str = "") -> Iterator[None]:
    """Keeps a second command from writing to the same folder at the same time.

    What a killed command left there besides its records is deleted.

    Args:
        folder: is created.
        of: names the lock, so that commands that write different files of a folder can run at the same time.

    Raises:
        ClothsegError: another command is writing there, or the folder cannot be written.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    path = folder / f"{LOCK_NAME}{of and '-'}{of}"
    lock = FileLock(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout as error:
        raise ClothsegError(
            f"{folder}: another command is writing to this folder; wait until it ends, or choose another place"
        ) from error
    except OSError as error:
        raise ClothsegError(f"{folder}: the folder cannot be written ({error}); choose another place") from error
    try:
        if not of and is_unfinished(folder):
            remove_temporary(folder)
        yield
    finally:
        lock.release()
        with suppress(OSError):
            path.unlink()
        for place in made:
            if any(place.iterdir()):
                break
            place.rmdir()


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_NAME}*")) if folder.is_dir() else []


def _header(path: Path) -> Record:
    """The first line of a file of records; empty if it is broken."""
    with path.open(encoding="utf-8", errors="replace") as file:
        try:
            header = json.loads(file.readline())
        except ValueError:
            return {}
    return header if isinstance(header, dict) else {}


@contextmanager
def _all_records(folder: Path) -> Iterator[Iterator[Record]]:
    """The records in a folder, as `Journal.records` gives them, with the name of each input."""
    with ExitStack() as stack:
        files = [stack.enter_context(path.open(encoding="utf-8")) for path in _files(folder)]
        merged = heapq.merge(*map(_parsed, files), key=_number)
        yield (_best(list(same)) for _, same in itertools.groupby(merged, _number))


def _parsed(lines: Iterator[str]) -> Iterator[Record]:
    """The records of a file, in ascending order of their numbers; a line that is cut is left out."""
    next(lines, None)
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("number"), int):
            yield record


def _number(record: Record) -> int:
    return int(record["number"])


def _best(same: list[Record]) -> Record:
    """Of the records of one number, the one without a problem, or else the latest."""
    return next((record for record in same if not record.get("problem")), same[-1])
