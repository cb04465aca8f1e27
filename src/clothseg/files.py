"""Files and folders that appear whole or not at all, and JSON read quickly."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from clothseg.errors import ClothsegError


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it replaces `path`, on an exception it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write `content` (text as UTF-8) to `path`, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def atomic_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; on success it is renamed to `path`.

    Raises:
        ClothsegError: `path` exists already, and `overwrite` is not set. Nothing is touched then.
    """
    require_absent(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            replaced = temporary.with_name(f"{temporary.name}.old")
            path.rename(replaced)
            temporary.rename(path)
            shutil.rmtree(replaced)
        else:
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def require_absent(path: Path, *, overwrite: bool = False) -> None:
    """Raise ClothsegError when `path` holds something and may not be written over. An empty folder is nothing."""
    if overwrite or not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    raise ClothsegError(f"{path} exists already; choose another place, or say --overwrite to replace it")


def require_outside_inputs(out: Path, inputs: Iterable[Path | str]) -> None:
    """Raise ClothsegError when `out` is one of the `inputs`, holds one or lies in one: results would become inputs."""
    place = out.resolve()
    for given in map(Path, inputs):
        inside = given.resolve()
        if place == inside or inside.is_relative_to(place) or (inside.is_dir() and place.is_relative_to(inside)):
            raise ClothsegError(f"{out}: --out is among the inputs ({given}); choose a folder beside them")


def read_json(path: Path) -> Any:
    """What a JSON file says; NaN and Infinity, which are no JSON, are read as the numbers that were meant.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not JSON.
    """
    content = path.read_bytes()
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return json.loads(content)  # several times slower; it knows NaN, a byte-order mark and integers of any length
