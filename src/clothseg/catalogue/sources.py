"""Opens a catalogue: photos, folders, patterns and lists, by path or URL, become one stream of photos."""

import glob
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clothseg.catalogue.lists import read_list
from clothseg.catalogue.names import CSV, LIST_SUFFIXES, PARQUET, is_http, is_url, local_path, suffix_of
from clothseg.catalogue.remote import filesystem_of, with_retries
from clothseg.catalogue.shards import Listed
from clothseg.dataset.photo_search import photos_among
from clothseg.errors import ClothsegError, DataError, PhotoError
from clothseg.photos import SUFFIXES
from clothseg.suggestions import near_path

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def open_catalogue(
    inputs: Sequence[str], *, recursive: bool = False, photo_column: str | None = None
) -> Iterator[Listed]:
    """The photos of a catalogue in a fixed order; the inputs are checked at once, and read when they are needed.

    Folders give their photos sorted by name, each folder before its subfolders; hidden files are left out. Only the
    names of one folder are in memory. A photo that is listed twice is there twice.

    Args:
        inputs: photos, folders, patterns with `*`, and lists (`.txt`, `.csv`, `.parquet`), by path or URL.
        recursive: whether to search subfolders too.
        photo_column: the column of lists that has the photos.

    Raises:
        PhotoError: an input does not exist, or has no photos.
        DataError: a list cannot be read, or its column is not known.
        ClothsegError: a package for a remote store is missing, or `photo_column` is for none of the inputs.
    """
    if photo_column is not None and not any(suffix_of(given) in CSV | PARQUET for given in inputs):
        kinds = ", ".join(sorted(CSV | PARQUET))
        raise ClothsegError(f"--photo-column {photo_column}: none of the inputs has columns ({kinds}); leave it out")
    streams = [_started(_open(local_path(given), recursive, photo_column), given) for given in inputs]
    return itertools.chain.from_iterable(streams)


def _started(photos: Iterator[Listed], given: str) -> Iterator[Listed]:
    """The same photos, after the first one is known to exist."""
    first = next(photos, None)
    if first is None:
        raise PhotoError(f"{given}: no photos in it")
    return itertools.chain([first], photos)


def _open(given: str, recursive: bool, photo_column: str | None) -> Iterator[Listed]:
    if not is_url(given):
        return _open_local(Path(given), recursive, photo_column)
    if suffix_of(given) in LIST_SUFFIXES:
        return read_list(given, photo_column)
    if is_http(given):
        is_folder = given.endswith("/")
        return _walk_store(*filesystem_of(given), given, recursive) if is_folder else iter([Listed(given, given)])
    if "*" not in given:
        return _open_store(given, recursive)
    files, path = filesystem_of(given)
    found = with_retries(lambda: files.glob(path), given)
    return (_of_store(files, str(name)) for name in sorted(found) if suffix_of(str(name)) in SUFFIXES)


def _open_local(path: Path, recursive: bool, photo_column: str | None) -> Iterator[Listed]:
    if path.is_dir():
        below = "" if recursive or next(_walk(path, True), None) is None else "; --recursive searches subfolders"
        if next(_walk(path, recursive), None) is None:
            raise PhotoError(f"{path}: no photos in this folder{below}")
        return _walk(path, recursive)
    if not path.exists():
        if glob.has_magic(str(path)):
            names = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - a pattern with any root
            if not any(suffix_of(name) in SUFFIXES for name in names):
                raise PhotoError(f"{path}: no photo has a name like this pattern")
            return (Listed(name, name) for name in names if suffix_of(name) in SUFFIXES)
        raise PhotoError(f"{path}: no such photo, folder or list{near_path(path)}")
    if path.suffix.lower() in LIST_SUFFIXES:
        return read_list(str(path), photo_column)
    if path.suffix.lower() in SUFFIXES:
        return iter([Listed(path.as_posix(), str(path))])
    kinds = ", ".join(sorted(LIST_SUFFIXES))
    raise DataError(f"{path}: neither a photo nor a list of photos ({kinds}), by its name")


def _walk(folder: Path, recursive: bool) -> Iterator[Listed]:
    for here, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if recursive and not name.startswith("."))
        for name in photos_among(files):
            yield Listed((Path(here) / name).as_posix(), str(Path(here) / name))


def _open_store(given: str, recursive: bool) -> Iterator[Listed]:
    if suffix_of(given) in SUFFIXES:
        return iter([Listed(given, given)])
    files, path = filesystem_of(given)
    return _walk_store(files, path.rstrip("/"), given, recursive)


def _walk_store(files: "AbstractFileSystem", path: str, given: str, recursive: bool) -> Iterator[Listed]:
    entries = with_retries(lambda: files.ls(path, detail=True), given)
    inside = {str(entry["name"]): entry["type"] for entry in entries}
    if list(inside) == [path] and inside[path] == "file":  # an object without a suffix
        yield _of_store(files, path)
        return
    below = {name.rstrip("/").rpartition("/")[2]: name for name, kind in inside.items() if kind == "directory"}
    names = {name.rpartition("/")[2]: name for name, kind in inside.items() if kind == "file"}
    for name in photos_among(names):
        yield _of_store(files, names[name])
    for name in sorted(below) if recursive else ():
        deeper = below[name] if is_http(given) else below[name].rstrip("/")
        if not name.startswith(".") and deeper.startswith(path) and deeper != path:
            yield from _walk_store(files, deeper, given, recursive)


def _of_store(files: "AbstractFileSystem", name: str) -> Listed:
    url = str(files.unstrip_protocol(name))
    return Listed(url, url)
