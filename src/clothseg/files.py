"""Atomic writes: a file or folder appears whole, or nothing changes. Names that every system accepts. Fast JSON."""

import errno
import json
import math
import re
import secrets
import shutil
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard

import orjson

from clothseg.errors import ClothsegError
from clothseg.writable import LOCK_NAME, require_writable

_WINDOWS_WAITS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between the attempts of `replace_file` on Windows."""
_LONGEST_SUFFIX = 16
NO_SPACE = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""Numbers of system errors: the disk or a quota is full, or a file is larger than allowed."""
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}(\..+)?")
LONGEST_STEM = 100
"""Bytes (UTF-8) of a name before numbers and suffix are added. Encrypted file systems allow 143 bytes in all."""
_RESERVED = frozenset(
    {
        "con",
        "prn",
        "aux",
        "nul",
        "conin$",
        "conout$",
        *(f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³"),
    }
)
"""Names of devices on Windows, with any suffix."""
_JSON_BLOCK = 1 << 16  # bytes read at once: objects of so much JSON stay in the processor's cache
_JSON_TAIL = 1 << 12  # bytes at the end of what was read, searched for the end of an object
_BETWEEN_OBJECTS = re.compile(rb"\}\s*,\s*(?=\{)")


@contextmanager
def atomic_file(path: Path, temporary: Path | None = None) -> Iterator[Path]:
    """Yields a temporary path in the folder of `path`; on success it replaces `path`, on an exception it is removed.

    Without `temporary`, its name is short, so that it fits wherever `path` fits, and has the suffix of `path`: many
    libraries choose the format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary or _temporary_beside(path, path.suffix if len(path.suffix) <= _LONGEST_SUFFIX else "")
    try:
        with _errors_name(path, temporary):
            temporary.touch(exist_ok=False)
            mode = temporary.stat().st_mode  # some libraries write another file and rename it
            yield temporary
            temporary.chmod(mode)
            replace_file(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write(path: Path, content: str | bytes) -> None:
    """Writes `content` to `path` in one step: text as UTF-8, with escapes for bytes of names that are not UTF-8."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content.encode(errors="backslashreplace") if isinstance(content, str) else content)


@contextmanager
def atomic_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yields an empty temporary folder beside `path`; on success it is renamed to `path`.

    Raises:
        ClothsegError: `path` exists already, or at the end because another command wrote it, and `overwrite` is not
            set. Nothing changes then.
    """
    require_absent(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_beside(path)
    try:
        with _errors_name(path, temporary):
            temporary.mkdir()
            yield temporary
            require_absent(path, overwrite=overwrite)
            _put_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put_folder(temporary: Path, path: Path) -> None:
    """Renames a folder to `path`; what is there is deleted afterwards, or put back if that fails."""
    if not path.exists():
        replace_file(temporary, path)
        return
    replaced = temporary.with_name(f"{temporary.name}.old")
    replace_file(path, replaced)
    try:
        replace_file(temporary, path)
    except OSError:
        replace_file(replaced, path)
        raise
    shutil.rmtree(replaced)


@contextmanager
def _errors_name(path: Path, temporary: Path) -> Iterator[None]:
    """Within the context, an error names `path`, which people know, and not its temporary name.

    The system does not name the file that it has no space for; then it is `path`, too.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in NO_SPACE:
            error.filename = str(path)
        elif isinstance(error.filename, str | Path) and Path(error.filename).is_relative_to(temporary):
            error.filename = str(path / Path(error.filename).relative_to(temporary))
        raise


def replace_file(source: Path, target: Path) -> None:
    """Renames a file or folder; a file that exists at `target` is replaced.

    On Windows a file that another program has open cannot be replaced, and virus scanners open new files for a moment.
    So there it is tried again for three seconds.

    Raises:
        OSError: the file system refuses.
    """
    waits = _WINDOWS_WAITS if sys.platform == "win32" else ()
    for wait in waits:
        try:
            source.replace(target)
        except PermissionError:
            time.sleep(wait)
        else:
            return
    source.replace(target)


def remove_temporary(folder: Path) -> None:
    """Deletes what atomic writes of a killed process left in a folder and the folders in it.

    Only for a folder that no other process writes to.
    """
    for place in (*folder.glob(".*"), *folder.glob("*/.*")):
        if _TEMPORARY.fullmatch(place.name) and place.is_file():
            place.unlink()


def safe_file_name(text: str) -> str:
    """The text as a part of a file name that Linux, macOS and Windows accept: `a/b: c?` becomes `a_b_ c_`.

    It has at most `LONGEST_STEM` bytes; a longer text is cut.
    """
    valid = text.encode("utf-8", "replace")[:LONGEST_STEM].decode("utf-8", "ignore")
    name = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f]', "_", valid).rstrip(". ") or "_"
    return f"_{name}" if name.split(".")[0].rstrip().lower() in _RESERVED else name


class OutputNames:
    """Gives the files of one folder their names: safe ones, each only once.

    Two names that differ by case or by the form of accents count as the same: some file systems ignore the difference.
    """

    def __init__(self) -> None:
        self._used: set[str] = set()

    def name(self, text: str, suffix: str = "") -> str:
        """A name for `text`, such as the stem of a photo's name: `a.png`, and the next time `a-2.png`."""
        stem = safe_file_name(text)
        name, number = f"{stem}{suffix}", 2
        while (key := unicodedata.normalize("NFC", name).casefold()) in self._used:
            name, number = f"{stem}-{number}{suffix}", number + 1
        self._used.add(key)
        return name


def require_absent(path: Path, *, overwrite: bool = False, resumable: bool = False) -> None:
    """Raises ClothsegError if `path` exists and may not be replaced, or if nothing can be written there.

    An empty folder counts as absent. The message names --resume too if what is there is `resumable`.
    """
    if (
        overwrite
        or not path.exists()
        or (path.is_dir() and all(inside.name.startswith(LOCK_NAME) for inside in path.iterdir()))
    ):
        require_writable(path)
        return
    resume = "--resume to continue it, or " if resumable else ""
    raise ClothsegError(f"{path} exists already; choose another place, or add {resume}--overwrite to replace it")


def require_outside_inputs(out: Path, inputs: Iterable[Path | str], *, allow_inside: bool = False) -> None:
    """Raises ClothsegError if `out` is one of the `inputs` or contains one: they could be overwritten.

    Args:
        out: the file or folder to write.
        inputs: files and folders that are read.
        allow_inside: whether `out` may lie in a folder of the inputs. Where all files in a folder are inputs, results
            would be inputs the next time.
    """
    place = resolved(out)
    for given in dict.fromkeys(map(Path, inputs)):
        source = resolved(given)
        inside = not allow_inside and source.is_dir() and _is_within(place, source)
        if inside or _is_within(source, place):
            raise ClothsegError(f"{out}: --out is among the inputs ({given}); choose a place beside them")


def is_finite_number(value: object) -> TypeGuard[float]:
    """Whether a value from JSON is a finite number that a float can hold; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def resolved(path: Path) -> Path:
    """The absolute path without links; a link that leads to itself stays."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # RuntimeError: a circle of links, before Python 3.13
        return path.absolute()


def read_json(path: Path) -> Any:
    """Reads a JSON file. NaN and Infinity are read as numbers, although JSON has none.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not JSON.
    """
    content = path.read_bytes()
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(content)  # several times slower; it knows NaN, a byte-order mark and integers of any length
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json_array(path: Path) -> Iterator[list[Any]]:
    """Yields the elements of a JSON array of objects, some thousands at a time, so that all need not be in memory.

    The file is cut where one object ends and another begins. If `[A]` and `[B]` are arrays, so is `[A, B]`. So each
    part may be parsed alone: a cut in a wrong place, such as in a string, leaves a part that is not JSON.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not an array of objects, or it was cut in a wrong place. `read_json` may still read it.
    """
    with path.open("rb") as file:
        rest = file.read(_JSON_BLOCK).lstrip()
        if not rest.startswith(b"["):
            raise ValueError("the file is not a JSON array")
        opening = b""
        while block := file.read(_JSON_BLOCK):
            content = rest + block
            tail = max(len(content) - _JSON_TAIL, 0)
            cuts = list(_BETWEEN_OBJECTS.finditer(content, tail)) or list(_BETWEEN_OBJECTS.finditer(content))
            if cuts:
                yield orjson.loads(opening + content[: cuts[-1].start() + 1] + b"]")
                content, opening = content[cuts[-1].end() :], b"["
            rest = content
        yield orjson.loads(opening + rest)


def _temporary_beside(path: Path, suffix: str = "") -> Path:
    return path.parent / f".{secrets.token_hex(8)}{suffix}"


def _is_within(path: Path, folder: Path) -> bool:
    """Whether `path` is `folder` or lies in it, also where the file system ignores the case of names."""
    return any(place == folder or _is_same(place, folder) for place in (path, *path.parents))


def _is_same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:  # one of them does not exist
        return False
