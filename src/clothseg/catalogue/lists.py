"""Lists of photos: text files, CSV and Parquet. They are read row by row, from a path or a URL."""

import csv
import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from clothseg.catalogue.names import CSV, PARQUET, is_url, join, suffix_of
from clothseg.catalogue.remote import filesystem_of, with_retries
from clothseg.catalogue.shards import Listed
from clothseg.errors import DataError, reading
from clothseg.photos import SUFFIXES
from clothseg.suggestions import did_you_mean

if TYPE_CHECKING:
    import polars

_NAMES = ("photo", "path", "file", "filename", "image", "url", "uri", "photopath", "photourl", "imagepath", "imageurl",
          "filepath", "fileurl", "imagefile", "photofile", "imagelink", "link", "key")  # fmt: skip
"""Names of a column of photos, without `_` and spaces, in lower case."""
_ROWS = 1 << 15  # of a Parquet file that are read at once


def read_list(source: str, column: str | None = None) -> Iterator[Listed]:
    """Yields the photos of a list; a relative name is relative to the folder of the list.

    A text file has a name on each line that is not empty. CSV has a header; Parquet a column of text.

    Args:
        source: path or URL with one of `LIST_SUFFIXES`.
        column: of a table; found by itself if one column alone has the name or the values of photos.

    Raises:
        DataError: it cannot be read, the column is not known, or the first photo is not in the folder of the list, but
            in the current one.
    """
    folder = source.rpartition("/")[0] if is_url(source) else str(Path(source).parent)
    for number, name in enumerate(_names(source, column)):
        if not number and name and not is_url(name) and not is_url(folder):
            _require_own_folder(source, name, join(folder, name))
        yield Listed(name, join(folder, name) if name else "")


def _require_own_folder(source: str, name: str, place: str) -> None:
    """Refuses a list whose names are relative to the current folder: all photos would be missing."""
    if not os.path.exists(place) and os.path.exists(name):
        raise DataError(
            f"{source}: names in a list are relative to its folder, and there is no {place}, but there is {name}; move "
            "the list, or write whole paths"
        )


def _names(source: str, column: str | None) -> Iterator[str]:
    suffix = suffix_of(source)
    if suffix in PARQUET:
        yield from _parquet(source, column)
    elif suffix in CSV:
        yield from _csv(source, column, "\t" if suffix == ".tsv" else ",")
    else:
        with (
            _open_text(source) as file,
            reading(source, DataError, "lists are text in UTF-8; save it in this encoding"),
        ):
            yield from (line.strip() for line in file if line.strip())


def looks_like_photo(name: object) -> bool:
    """Whether a value is a URL, or a name with the suffix of a photo."""
    return isinstance(name, str) and (is_url(name) or suffix_of(name) in SUFFIXES)


def choose_column(source: str, columns: Sequence[str], first: Sequence[object], wanted: str | None) -> str:
    """The column of a table that has the photos.

    Args:
        source: for messages.
        columns: their names.
        first: the values of the first row.
        wanted: the name that the user gave.

    Raises:
        DataError: there is no such column, or several columns may be meant.
    """
    if wanted is not None:
        if wanted not in columns:
            raise DataError(f"{source}: no column {wanted!r}; {did_you_mean(wanted, columns, otherwise='it has')}")
        return wanted
    if len(columns) == 1:
        return columns[0]
    valued = [name for name, value in zip(columns, first, strict=False) if looks_like_photo(value)]
    named = [name for name in columns if name.lower().replace("_", "").replace(" ", "") in _NAMES]
    for candidates in ([name for name in valued if name in named], valued, named):
        if len(candidates) == 1:
            return candidates[0]
    listed = ", ".join(named or valued or columns)
    raise DataError(f"{source}: which column has the photos ({listed})? Say it with --photo-column NAME")


def _csv(source: str, wanted: str | None, delimiter: str) -> Iterator[str]:
    with _open_text(source) as file, reading(source, DataError, "lists are CSV in UTF-8 with a header; save it so"):
        header = file.readline()
        if delimiter == "," and ";" in header and "," not in header:
            delimiter = ";"
        columns = next(csv.reader([header], delimiter=delimiter), [])
        if not columns:
            raise DataError(f"{source}: the list is empty")
        if any(looks_like_photo(value) for value in columns):
            raise DataError(
                f"{source}: the first line is a photo, not a header; add a header, such as `photo`, or call the file "
                ".txt"
            )
        rows = csv.reader(file, delimiter=delimiter)
        first = next(rows, [])
        position = columns.index(choose_column(source, columns, first, wanted))
        for row in itertools.chain([first], rows):
            if row:  # not a line that is empty
                yield row[position].strip() if position < len(row) else ""


def _parquet(source: str, wanted: str | None) -> Iterator[str]:
    import polars  # noqa: PLC0415 - a tenth of a second

    with _local_copy(source) as path, reading(source, DataError):
        table = polars.scan_parquet(path)
        columns = table.collect_schema()
        first = table.head(1).collect()
        name = choose_column(source, columns.names(), first.row(0) if len(first) else [], wanted)
        if columns[name] not in (polars.String, polars.Categorical, polars.Enum):
            raise DataError(
                f"{source}: the column {name!r} is of type {columns[name]}, not text; choose one of text with "
                "--photo-column"
            )
        yield from _slices(table.select(polars.col(name).cast(polars.String)))


def _slices(column: "polars.LazyFrame") -> Iterator[str]:
    start = 0
    while len(part := column.slice(start, _ROWS).collect()):
        yield from (value.strip() if value else "" for value in part.to_series())
        start += _ROWS


@contextmanager
def _open_text(source: str) -> Iterator[IO[str]]:
    """Opens a text; a byte-order mark is ignored."""
    if is_url(source):
        files, path = filesystem_of(source)
        opened: Any = with_retries(lambda: files.open(path, "rt", encoding="utf-8-sig", newline=""), source)
    else:
        with reading(source, DataError):
            opened = Path(source).open(encoding="utf-8-sig", newline="")  # noqa: SIM115 - closed below
    with opened:
        yield opened


@contextmanager
def _local_copy(source: str) -> Iterator[Path]:
    """The path of a file; one on a remote store is copied to a temporary folder."""
    if not is_url(source):
        yield Path(source)
        return
    files, path = filesystem_of(source)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / "list.parquet"
        with_retries(lambda: files.get_file(path, str(copy)), source)
        yield copy
