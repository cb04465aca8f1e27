"""The tables of a catalogue: their columns with types, and their files as Parquet or JSON lines."""

import io
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from clothseg.errors import DataError, reading

if TYPE_CHECKING:
    import polars

Row = Mapping[str, Any]
PHOTOS, ERRORS, DETECTIONS, GARMENTS = "photos", "errors", "detections", "garments"
_PHOTO = {"photo_id": "Int64", "photo": "String"}
_SIZE = {"photo_width": "Int32", "photo_height": "Int32"}
COLUMNS: Mapping[str, Mapping[str, str]] = {
    PHOTOS: _PHOTO | _SIZE | {"found": "Int32"},
    ERRORS: _PHOTO | {"error": "String"},
    DETECTIONS: _PHOTO
    | _SIZE
    | {
        **{"number": "Int32", "class_id": "Int32", "class": "String", "score": "Float32"},
        **{"x": "Float64", "y": "Float64", "width": "Float64", "height": "Float64"},
        **{"area": "Int64", "rle": "String", "review": "Boolean"},
    },
    GARMENTS: _PHOTO
    | _SIZE
    | {
        **{"number": "Int32", "class_id": "Int32", "class": "String", "score": "Float32"},
        **{"x": "Int32", "y": "Int32", "width": "Int32", "height": "Int32", "file": "String"},
    },
}
"""By table, the type of each column, by its name in polars. docs/scale.md explains the columns."""
_ROW_GROUP = 1 << 16


class TableFormat(StrEnum):
    """How tables are stored."""

    PARQUET = "parquet"
    JSONL = "jsonl"


def schema_of(table: str) -> "polars.Schema":
    """The columns of a table, for polars."""
    import polars  # noqa: PLC0415 - a tenth of a second

    return polars.Schema({name: getattr(polars, kind) for name, kind in COLUMNS[table].items()})


def encode_table(table: str, rows: Sequence[Row], form: TableFormat) -> bytes:
    """A file with the rows. Equal rows give equal bytes with the same version of polars."""
    import polars  # noqa: PLC0415 - a tenth of a second

    return encode_frame(polars.DataFrame(rows, schema=schema_of(table), orient="row"), form)


def encode_frame(frame: "polars.DataFrame", form: TableFormat) -> bytes:
    """A file with the rows of a frame."""
    target = io.BytesIO()
    if form is TableFormat.JSONL:
        frame.write_ndjson(target)
    else:
        frame.write_parquet(target, compression="zstd", row_group_size=_ROW_GROUP)
    return target.getvalue()


def decode_table(table: str, content: bytes, form: TableFormat, name: str) -> "polars.DataFrame":
    """The rows of a file.

    Args:
        table: its name.
        content: of the file.
        form: of the file.
        name: of the file, for messages.

    Raises:
        DataError: it cannot be read, or has other columns.
    """
    import polars  # noqa: PLC0415 - a tenth of a second

    schema = schema_of(table)
    with reading(name, DataError):
        if form is TableFormat.JSONL:
            return polars.read_ndjson(io.BytesIO(content), schema=schema) if content else schema.to_frame()
        frame = polars.read_parquet(io.BytesIO(content))
    if frame.schema != schema:
        raise DataError(f"{name}: not a table of {table}; its columns are {', '.join(frame.columns)}")
    return frame
