"""Fast reading of the lists of masks and boxes: 807 MB and 1.2 GB for train, of which a dataset needs a few rows.

A file is read in blocks of lines, several at once. Two fast tests decide what is parsed: the number of commas in a
block shows whether every row is complete, and one regular expression finds the lines of the needed classes. Only these
become cells. Memory has a few blocks and the needed rows, never the whole file.

Every cell is text first: ids such as `12345678e9012345` or `00000123` look like numbers, but are not. The published
lists have no quotes; a block with quotes is parsed line by line, which is slower.
"""

import csv
import io
import re
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from clothseg.cores import usable_cores
from clothseg.errors import DataError, reading

BLOCK_BYTES = 8 << 20
_MAX_BROKEN = 10_000
_ADVICE = "is this the right table?"

IMAGE_ID = "^[0-9a-f]{16}$"
_PATTERNS = {
    "ImageID": (IMAGE_ID, "16 hex digits"),
    "BoxID": ("^[0-9a-f]+$", "hex digits (was the table saved by a program that reads ids as numbers?)"),
    "LabelName": ("^/[a-z]+/[A-Za-z0-9_]+$", "a class id such as /m/01xyhv"),
    "MaskPath": (r"\.png$", "the name of a PNG"),
}


@dataclass(frozen=True)
class BrokenRow:
    """A row with a wrong format, which is left out. `image_id` is empty if the row does not have it.

    `row` counts from 1, with the header.
    """

    file: str
    row: int
    problem: str
    image_id: str

    def __str__(self) -> str:
        return f"{self.file}: row {self.row}: {self.problem}"


@dataclass(frozen=True)
class Columns:
    """The columns to read: ids that must fit a pattern, numbers that must be finite, flags that default to -1."""

    ids: Sequence[str]
    numbers: Sequence[str]
    flags: Sequence[str] = ()
    required_flags: Collection[str] = ()


@dataclass(frozen=True)
class _Table:
    """The table and what is read from it."""

    path: Path
    header: list[str]
    columns: Columns
    mids: frozenset[str] | None
    partitions: frozenset[str] | None

    @property
    def present_flags(self) -> list[str]:
        return [flag for flag in self.columns.flags if flag in self.header]

    def line_pattern(self) -> str | None:
        """A regular expression for the lines of the needed classes, and for lines without any class."""
        if self.mids is None:
            return None
        # The first column is the image id, or the name of the mask, which begins with the image id.
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
    block_bytes: int = BLOCK_BYTES,
) -> tuple[pl.DataFrame, list[BrokenRow]]:
    """Reads the rows of some classes from a list of masks or boxes, in the order of the file.

    Args:
        path: the list.
        columns: the columns to read.
        mids: class ids; None for all.
        partitions: first hex digits of the image ids; None for all.
        block_bytes: size of the blocks that are read at a time.

    Returns:
        A column for each id (text), number (float64) and flag (int8); and the rows that are left out: short and long
        ones of any class, and rows of the needed classes with a wrong value.

    Raises:
        DataError: the file or a column does not exist, or more than 10000 rows are broken.
    """
    frames: list[pl.DataFrame] = []
    broken: list[BrokenRow] = []
    with reading(path, DataError):
        opened = path.open("rb")
    with opened as stream:
        header = _header(path, stream, columns)
        wanted = [None if values is None else frozenset(values) for values in (mids, partitions)]
        table = _Table(path, header, columns, *wanted)
        for frame, faults in _in_parallel(table, stream, block_bytes):
            frames.append(frame)
            broken += faults
            if len(broken) > _MAX_BROKEN:
                raise DataError(
                    f"{path}: more than {_MAX_BROKEN} rows are broken, the first: row {broken[0].row}: "
                    f"{broken[0].problem}; {_ADVICE}"
                )
    return pl.concat(frames) if frames else _typed(table, pl.DataFrame(schema=_text_schema(header))), broken


def _header(path: Path, stream: io.BufferedReader, columns: Columns) -> list[str]:
    """Reads the column names, with or without a byte-order mark, and moves the stream behind them."""
    with reading(path, DataError):
        start = stream.read(1 << 16)
    line, newline, _ = start.partition(b"\n")
    stream.seek(len(line) + len(newline))
    if not line.strip():
        raise DataError(f"{path}: the table is empty")
    text = line.decode("utf-8-sig", errors="replace").strip()
    if "\r" in text:
        raise DataError(f"{path}: the lines end with a carriage return alone, as on old Macs; save the table again")
    with reading(path, DataError, _ADVICE):
        header = next(csv.reader([text]))
    needed = [*columns.ids, *columns.numbers, *columns.required_flags]
    if twice := [name for name, count in Counter(header).items() if count > 1]:
        raise DataError(f"{path}: row 1: the column {twice[0]!r} occurs twice; {_ADVICE}")
    if missing := [c for c in needed if c not in header]:
        raise DataError(f"{path}: row 1: no column {', '.join(missing)}; {_ADVICE}")
    return header


def _blocks(path: Path, stream: io.BufferedReader, block_bytes: int) -> Iterator[bytes]:
    """Yields blocks of complete lines. The last line gets a line end too."""
    while True:
        with reading(path, DataError):
            block = stream.read(block_bytes)
            block = block if block.endswith(b"\n") else block + stream.readline()
        if not block:
            return
        yield block if block.endswith(b"\n") else block + b"\n"


def _in_parallel(
    table: _Table, stream: io.BufferedReader, block_bytes: int
) -> Iterator[tuple[pl.DataFrame, list[BrokenRow]]]:
    """Yields the needed rows of each block, in order. The header is row 1 of the file."""
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
        for block in _blocks(table.path, stream, block_bytes):
            running.append(pool.submit(_read_block, table, block))
            if len(running) > workers:
                yield finished()
        while running:
            yield finished()


def _read_block(table: _Table, block: bytes) -> tuple[pl.DataFrame, list[BrokenRow], int]:
    """Returns the needed rows, the broken rows with their number in the block from 0, and the number of lines."""
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
    """The needed lines as text cells. Every line must have the same number of cells as the header."""
    pattern = table.line_pattern()
    if pattern is None:
        return _cells(table, block).with_row_index("row")
    lines = pl.scan_csv(
        io.BytesIO(block), has_header=False, separator="\x1f", quote_char=None, schema={"line": pl.String},
        encoding="utf8-lossy", row_index_name="row",
    )  # fmt: skip
    with reading(table.path, DataError, _ADVICE):
        selected = lines.filter(pl.col("line").str.contains(pattern)).collect(engine="streaming")
    if selected.is_empty():
        return pl.DataFrame(schema=_text_schema(table.header))
    return _cells(table, "\n".join(selected["line"]).encode()).with_columns(row=selected["row"])


def _cells(table: _Table, lines: bytes) -> pl.DataFrame:
    schema = dict.fromkeys(table.header, pl.String)
    columns = [*table.columns.ids, *table.columns.numbers, *table.present_flags]
    if b"\r" in lines:
        lines = lines.replace(b"\r\n", b"\n").removesuffix(b"\r")
    read = pl.scan_csv(io.BytesIO(lines), has_header=False, quote_char=None, schema=schema, encoding="utf8-lossy")
    with reading(table.path, DataError, _ADVICE):
        return read.select(columns).collect(engine="streaming")


def _slow(table: _Table, block: bytes) -> tuple[pl.DataFrame, list[BrokenRow]]:
    """The same line by line, for blocks with short or long rows, blank lines or quotes."""
    pattern = table.line_pattern()
    good: list[list[str | int | None]] = []
    broken: list[BrokenRow] = []
    lines = block.decode("utf-8", errors="replace").split("\n")
    with reading(table.path, DataError, _ADVICE):
        cells = [next(csv.reader([line.rstrip("\r")]), []) for line in lines]
    for row, (line, words) in enumerate(zip(lines, cells, strict=True)):
        if not line.strip():
            continue
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
    """Splits rows into those with valid values, typed, and broken ones."""
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
            broken.append(
                BrokenRow(table.path.name, row["row"], _problem(column, row[column]), _known_id(row["ImageID"]))
            )
        cells = cells.filter(~any_faulty)
    return _typed(table, cells), broken


def _problem(column: str, value: str | None) -> str:
    _, expected = _PATTERNS.get(column, ("", "a number"))
    return f"{column} {'is missing' if value is None else f'is {value!r}'}, but should be {expected}"


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
