"""The lists of masks and boxes, read quickly: 807 MB and 1.2 GB for train, of which a data set needs a few rows.

A file is read in blocks of lines, several at once. Two looks at a block decide what is worth parsing: the number of
its commas tells whether every row is whole, and one regular expression over its lines finds those of the wanted
classes. Only these become cells. Memory holds a few blocks and the wanted rows, never the file.

Every cell is text first: ids such as `12345678e9012345` or `00000123` are no numbers, however much they look like it.
The published lists hold no quotes; a block that does is read slowly, and rightly.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from clothseg.cores import usable_cores
from clothseg.errors import DataError

_BLOCK_BYTES = 8 << 20
_MOST_BROKEN = 10_000

IMAGE_ID = "^[0-9a-f]{16}$"
_PATTERNS = {
    "ImageID": (IMAGE_ID, "16 hex digits"),
    "BoxID": ("^[0-9a-f]+$", "hex digits (was the table saved by a program that takes ids for numbers?)"),
    "LabelName": ("^/[a-z]+/[A-Za-z0-9_]+$", "a class id such as /m/01xyhv"),
    "MaskPath": (r"\.png$", "the name of a PNG"),
}


@dataclass(frozen=True)
class BrokenRow:
    """A row that breaks the format and is left out. `image_id` is empty where the row does not say it."""

    file: str
    row: int
    problem: str
    image_id: str

    def __str__(self) -> str:
        return f"{self.file}: row {self.row}: {self.problem}"


@dataclass(frozen=True)
class Columns:
    """What is wanted of a table: ids by their pattern, numbers that must be finite, flags that default to -1."""

    ids: Sequence[str]
    numbers: Sequence[str]
    flags: Sequence[str] = ()
    required_flags: Collection[str] = ()


@dataclass(frozen=True)
class _Table:
    """A table being read."""

    path: Path
    header: list[str]
    columns: Columns
    mids: frozenset[str] | None
    partitions: frozenset[str] | None

    @property
    def present_flags(self) -> list[str]:
        return [flag for flag in self.columns.flags if flag in self.header]

    def line_pattern(self) -> str | None:
        """Finds the lines of the wanted classes, and those that name no class at all."""
        if self.mids is None:
            return None
        # The lists begin with the image id or with the mask's name, which begins with it.
        by_digit = self.partitions is not None and self.header[0] in {"ImageID", "MaskPath"}
        names = "|".join(map(re.escape, sorted(self.mids)))
        if by_digit:
            return f"^[{''.join(sorted(self.partitions or ()))}](?:.*,(?:{names})(?:,|\\r?$)|[^/]*$)"
        return f"(?:^|,)(?:{names})(?:,|\\r?$)|^[^/]*$"


def scan(
    path: Path,
    columns: Columns,
    mids: Collection[str] | None,
    partitions: Collection[str] | None,
    *,
    block_bytes: int = _BLOCK_BYTES,
) -> tuple[pl.DataFrame, list[BrokenRow]]:
    """The rows of a list of masks or boxes with one of the classes `mids` (None: any), in the file's order.

    Args:
        path: the list.
        columns: what to read.
        mids: class ids.
        partitions: first hex digits of the image ids; None: all.
        block_bytes: size of the blocks that are read and parsed in parallel, in bytes.

    Returns:
        A column for each id (text), number (float64) and flag (int8); and the rows left out because they break the
        format: short or long ones anywhere, other faults in rows of the wanted classes.

    Raises:
        DataError: no such file, no such column, or so many broken rows that it is hardly the right table.
    """
    frames: list[pl.DataFrame] = []
    broken: list[BrokenRow] = []
    with _open(path) as stream:
        header = _header(path, stream, columns)
        table = _Table(path, header, columns, _frozen(mids), _frozen(partitions))
        for frame, faults in _in_parallel(table, stream, block_bytes):
            frames.append(frame)
            broken += faults
            if len(broken) > _MOST_BROKEN:
                raise DataError(
                    f"{path}: more than {_MOST_BROKEN} rows are broken, the first: row {broken[0].row}: "
                    f"{broken[0].problem}; is this the right table?"
                )
    return pl.concat(frames) if frames else _typed(table, pl.DataFrame(schema=_text_schema(header))), broken


def _frozen(values: Collection[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)


def _open(path: Path) -> io.BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _header(path: Path, stream: io.BufferedReader, columns: Columns) -> list[str]:
    """The column names, with or without a byte-order mark; the stream stands after them."""
    start = stream.read(1 << 16)
    line, newline, _ = start.partition(b"\n")
    stream.seek(len(line) + len(newline))
    if not line.strip():
        raise DataError(f"{path}: the table is empty")
    header = next(csv.reader([line.decode("utf-8-sig", errors="replace").strip()]))
    needed = [*columns.ids, *columns.numbers, *columns.required_flags]
    missing = [c for c in needed if c not in header]
    if missing:
        raise DataError(f"{path}: row 1: no column {', '.join(missing)}; is this the right table?")
    return header


def _blocks(stream: io.BufferedReader, block_bytes: int) -> Iterator[bytes]:
    """Whole lines, some megabytes at a time, the last one ended too."""
    while data := stream.read(block_bytes):
        block = data if data.endswith(b"\n") else data + stream.readline()
        yield block if block.endswith(b"\n") else block + b"\n"


def _in_parallel(
    table: _Table, stream: io.BufferedReader, block_bytes: int
) -> Iterator[tuple[pl.DataFrame, list[BrokenRow]]]:
    """The wanted rows of each block, in order; the header is row 1 of the file."""
    workers = usable_cores()
    running: deque[Future[tuple[pl.DataFrame, list[BrokenRow], int]]] = deque()
    row = 2

    def finished() -> tuple[pl.DataFrame, list[BrokenRow]]:
        nonlocal row
        frame, broken, lines = running.popleft().result()
        broken = [replace(fault, row=fault.row + row) for fault in broken]
        row += lines
        return frame, broken

    with ThreadPoolExecutor(workers) as pool:
        for block in _blocks(stream, block_bytes):
            running.append(pool.submit(_read_block, table, block))
            if len(running) > workers:
                yield finished()
        while running:
            yield finished()


def _read_block(table: _Table, block: bytes) -> tuple[pl.DataFrame, list[BrokenRow], int]:
    """The wanted rows, the broken ones with their number in the block from 0, and the number of lines."""
    values = np.frombuffer(block, np.uint8)
    commas, lines = int(np.count_nonzero(values == ord(","))), int(np.count_nonzero(values == ord("\n")))
    if commas == lines * (len(table.header) - 1) and b'"' not in block:
        return *_check(table, _quick(table, block)), lines
    cells, broken = _slow(table, block)
    rows, faults = _check(table, cells)
    return rows, broken + faults, lines


def _text_schema(header: Sequence[str]) -> dict[str, pl.DataType]:
    return {"row": pl.Int64()} | {name: pl.String() for name in header}


def _quick(table: _Table, block: bytes) -> pl.DataFrame:
    """The wanted lines as text cells; every line is known to have as many as the header."""
    pattern = table.line_pattern()
    if pattern is None:
        return _cells(table, block).with_row_index("row")
    lines = pl.scan_csv(
        io.BytesIO(block),
        has_header=False,
        separator="\x1f",
        quote_char=None,
        schema={"line": pl.String},
        encoding="utf8-lossy",
        row_index_name="row",
    )
    found = lines.filter(pl.col("line").str.contains(pattern)).collect(engine="streaming")
    if found.is_empty():
        return pl.DataFrame(schema=_text_schema(table.header))
    text = "\n".join(found["line"]).encode()
    return _cells(table, text).with_columns(row=found["row"])


def _cells(table: _Table, lines: bytes) -> pl.DataFrame:
    schema = dict.fromkeys(table.header, pl.String)
    wanted = [*table.columns.ids, *table.columns.numbers, *table.present_flags]
    if b"\r" in lines:
        lines = lines.replace(b"\r\n", b"\n").removesuffix(b"\r")
    read = pl.scan_csv(io.BytesIO(lines), has_header=False, quote_char=None, schema=schema, encoding="utf8-lossy")
    return read.select(wanted).collect(engine="streaming")


def _slow(table: _Table, block: bytes) -> tuple[pl.DataFrame, list[BrokenRow]]:
    """The same, line by line: for blocks with a row that is short or long, a blank line or quotes."""
    pattern = table.line_pattern()
    good: list[list[str | int | None]] = []
    broken: list[BrokenRow] = []
    for row, line in enumerate(block.decode("utf-8", errors="replace").split("\n")):
        if not line.strip():
            continue
        words = next(csv.reader([line.rstrip("\r")]))
        if len(words) != len(table.header):
            problem = f"the row has {len(words)} cells, the header {len(table.header)}"
            broken.append(BrokenRow(table.path.name, row, problem, _image_id(table, words)))
        elif pattern is None or re.search(pattern, ",".join(words)):
            good.append([row, *(cell or None for cell in words)])
    return pl.DataFrame(good, schema=_text_schema(table.header), orient="row"), broken


def _image_id(table: _Table, cells: Sequence[str]) -> str:
    place = table.header.index("ImageID")
    return cells[place] if place < len(cells) and re.match(IMAGE_ID, cells[place]) else ""


def _check(table: _Table, cells: pl.DataFrame) -> tuple[pl.DataFrame, list[BrokenRow]]:
    """Rows with values of the right kind, typed; and those without."""
    columns = table.columns
    if table.mids is not None:
        named = pl.col("LabelName").str.contains(_PATTERNS["LabelName"][0]).fill_null(False)
        cells = cells.filter(~named | pl.col("LabelName").is_in(sorted(table.mids)))
    faulty = {c: ~pl.col(c).str.contains(_PATTERNS[c][0]).fill_null(False) for c in columns.ids}
    faulty |= {
        c: ~pl.col(c).cast(pl.Float64, strict=False).is_finite().fill_null(False)
        for c in (*columns.numbers, *table.present_flags)
    }
    any_faulty = pl.any_horizontal(*faulty.values())
    faults = cells.filter(any_faulty)
    broken = []
    if len(faults):
        marks = faults.select(**faulty).rows(named=True)
        for row, mark in zip(faults.rows(named=True), marks, strict=True):
            column = next(c for c in faulty if mark[c])
            broken.append(BrokenRow(table.path.name, row["row"], _told(column, row[column]), _known_id(row["ImageID"])))
        cells = cells.filter(~any_faulty)
    return _typed(table, cells), broken


def _told(column: str, value: str | None) -> str:
    meant = _PATTERNS[column][1] if column in _PATTERNS else "a number"
    found = "is missing" if value is None else f"is {value!r}"
    return f"{column} {found}, but should be {meant}"


def _known_id(value: str | None) -> str:
    return value if value and re.match(IMAGE_ID, value) else ""


def _typed(table: _Table, cells: pl.DataFrame) -> pl.DataFrame:
    if table.partitions is not None:
        cells = cells.filter(pl.col("ImageID").str.slice(0, 1).is_in(sorted(table.partitions)))
    present = table.present_flags
    return cells.select(
        *table.columns.ids,
        *(pl.col(c).cast(pl.Float64) for c in table.columns.numbers),
        *(pl.col(c).cast(pl.Float64).cast(pl.Int8, strict=False).fill_null(-1) for c in present),
        *(pl.lit(-1, pl.Int8).alias(c) for c in table.columns.flags if c not in present),
    )
