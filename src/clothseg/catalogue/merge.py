"""Joins the shards of all jobs to one file, after a check that each is there exactly once."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from clothseg.catalogue.names import is_url
from clothseg.catalogue.receipts import Receipt, finished_shards, read_receipt
from clothseg.catalogue.shards import shard_name
from clothseg.catalogue.store import Store
from clothseg.catalogue.tables import DETECTIONS, ERRORS, GARMENTS, PHOTOS, TableFormat, decode_table, schema_of
from clothseg.changed_work import changed_settings
from clothseg.errors import ClothsegError, DataError
from clothseg.files import atomic_folder
from clothseg.suggestions import near_path

if TYPE_CHECKING:
    import polars

_LISTED = 10  # missing shards that a message names


class MergedFormat(StrEnum):
    """What shards are joined to."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    COCO = "coco"


@dataclass(frozen=True)
class Merged:
    """What was joined: numbers of shards, photos, rows of the table of results, and photos that failed."""

    shards: int
    photos: int
    rows: int
    failed: int


Shards = Sequence[tuple[Store, Receipt]]
"""The shards of a catalogue in their order, and where each is."""
_ONE_COMMAND = "shards are merged if they are of the same photos, network and settings; repeat its job with --overwrite"


def merge_catalogue(
    folders: Sequence[str], out: Path | str, form: MergedFormat = MergedFormat.PARQUET, *, overwrite: bool = False
) -> Merged:
    """Joins the shards in some folders to one table of results, one of photos and one of errors.

    With `coco` it writes `predictions.json` and `images.json` as `predict` does, and `errors.jsonl`. One shard is in
    memory at a time. The path of a cut-out gets the folder in front.

    Args:
        folders: paths or URLs of what `run_catalogue` wrote.
        out: a folder on this machine.
        form: of the files.
        overwrite: whether `out` may be replaced.

    Raises:
        DataError: a shard is missing, or a folder is there twice, is of other work or other photos, or has changed.
        ClothsegError: `out` exists already; or cut-outs are to become COCO results.
    """
    found = find_shards([Store(folder) for folder in folders])
    table = found[0][1].table
    if form is MergedFormat.COCO and table != DETECTIONS:
        raise ClothsegError("--format coco: only detections can become COCO results, these are cut-outs; use parquet")
    with atomic_folder(Path(out), overwrite=overwrite) as folder:
        if form is MergedFormat.COCO:
            _write_coco(found, folder)
        else:
            for name in (table, PHOTOS, ERRORS):
                _write_table(found, name, folder / f"{name}.{form}", TableFormat(form))
    receipts = [receipt for _, receipt in found]
    photos, rows = sum(receipt.photos for receipt in receipts), sum(receipt.rows for receipt in receipts)
    return Merged(len(receipts), photos, rows, sum(receipt.failed for receipt in receipts))


def _no_shards(folder: str) -> str:
    if "://" not in folder and not os.path.isdir(folder):
        return f"{folder}: no such folder{near_path(folder)}"
    return f"{folder}: no shards here; `clothseg predict ... --format parquet` writes them"


def find_shards(stores: Sequence[Store]) -> Shards:
    """The shards in some folders, in their order, each exactly once.

    Raises:
        DataError: a shard is missing, is there twice, or does not belong to the others.
    """
    places: dict[int, Store] = {}
    given = [_place(store) for store in stores]
    for place, store in zip(given, stores, strict=True):
        if given.count(place) > 1:
            raise DataError(f"{store.root}: this folder is given more than once; give each folder once")
    for store in stores:
        numbers = finished_shards(store)
        if not numbers:
            raise DataError(_no_shards(store.root))
        for number in numbers:
            if number in places:
                raise DataError(
                    f"{shard_name(number)} is there twice: in {places[number].root} and in {store.root}; leave one of "
                    "them out"
                )
            places[number] = store
    where = ", ".join(store.root for store in stores)
    found = [(places[number], read_receipt(places[number], number)) for number in sorted(places)]
    last = found[-1][1]
    if missing := sorted(set(range(1, last.shard)) - set(places)):
        raise DataError(
            f"{where}: missing {_listed(missing)}; give the folders of all jobs, and repeat the commands that were "
            "stopped"
        )
    if not last.is_last:
        raise DataError(
            f"{where}: the shards after {shard_name(last.shard)} are missing; give the folders of all jobs, and repeat "
            "the commands that were stopped"
        )
    _check_belonging(found)
    return found


def _place(store: Store) -> str:
    """The same text for the same folder."""
    return store.root.rstrip("/") if is_url(store.root) else os.path.realpath(store.root)


def _listed(numbers: Sequence[int]) -> str:
    names = ", ".join(shard_name(number) for number in numbers[:_LISTED])
    return names if len(numbers) <= _LISTED else f"{names} and {len(numbers) - _LISTED} more"


def _check_belonging(found: Shards) -> None:
    """Checks that the shards are of one work, and that each begins in the list of photos where the last one ended."""
    first = found[0][1]
    before, photo = hashlib.sha256().hexdigest(), 1
    for store, receipt in found:
        name = f"{shard_name(receipt.shard)} in {store.root}"
        same = ("work", "classes", "table", "format")
        if any(getattr(receipt, fact) != getattr(first, fact) for fact in same):
            other = changed_settings(receipt.settings, first.settings, "{} is {}, there {}")
            raise DataError(
                f"{name}: made with another network or other settings than {shard_name(first.shard)}{other}; "
                f"{_ONE_COMMAND}"
            )
        if (receipt.list_before, receipt.first_photo) != (before, photo) or receipt.is_last != (
            receipt is found[-1][1]
        ):
            raise DataError(f"{name}: made from another list of photos than the shards before; {_ONE_COMMAND}")
        before, photo = receipt.list_after, receipt.first_photo + receipt.photos


def _contents(found: Shards, table: str) -> Iterator[tuple[Store, str, bytes]]:
    """The files of a table, whose bytes are checked: folder, name and content."""
    for store, receipt in found:
        name = f"{table}/{shard_name(receipt.shard)}.{receipt.format}"
        if name not in receipt.files:  # without errors there is no table of them
            continue
        again = f"delete {store.url(f'shards/{shard_name(receipt.shard)}.json')} and repeat the command that wrote it"
        try:
            content = store.read(name)
        except DataError as error:
            raise DataError(f"{error}; {again}") from error
        if hashlib.sha256(content).hexdigest() != receipt.files[name]:
            raise DataError(f"{store.url(name)}: the file has changed since it was written; {again}")
        yield store, name, content


def _frames(found: Shards, table: str) -> "Iterator[polars.DataFrame]":
    import polars  # noqa: PLC0415 - a tenth of a second

    for store, name, content in _contents(found, table):
        frame = decode_table(table, content, TableFormat(found[0][1].format), store.url(name))
        if table == GARMENTS:
            frame = frame.with_columns(file=polars.lit(f"{store.root.rstrip('/')}/") + polars.col("file"))
        yield frame


def _rows(found: Shards, table: str) -> Iterator[Mapping[str, Any]]:
    for frame in _frames(found, table):
        yield from frame.iter_rows(named=True)


def _write_table(found: Shards, table: str, path: Path, form: TableFormat) -> None:
    if form is TableFormat.PARQUET:
        _sink_parquet(found, table, path)
        return
    with path.open("wb") as file:
        for frame in _frames(found, table):
            frame.write_ndjson(file)


def _sink_parquet(found: Shards, table: str, path: Path) -> None:
    """Writes one Parquet file, with few shards in memory."""
    from polars.io.plugins import register_io_source  # noqa: PLC0415 - a tenth of a second

    def frames(
        columns: list[str] | None, predicate: "polars.Expr | None", rows: int | None, batch: int | None
    ) -> "Iterator[polars.DataFrame]":
        for frame in _frames(found, table):
            yield frame if columns is None else frame.select(columns)

    register_io_source(frames, schema=schema_of(table)).sink_parquet(path, maintain_order=True)


def _write_coco(found: Shards, folder: Path) -> None:
    categories = [{"id": number, "name": name} for number, name in enumerate(found[0][1].classes, start=1)]
    with _json_list(folder / "predictions.json", "[", "]") as file:
        _write_rows(
            file, (_coco_row(row) for frame in _frames(found, DETECTIONS) for row in frame.iter_rows(named=True))
        )
    with _json_list(folder / "images.json", '{"images": [', f'], "categories": {json.dumps(categories)}}}') as file:
        _write_rows(file, map(_coco_image, _rows(found, PHOTOS)))
    if any(receipt.failed for _, receipt in found):
        _write_table(found, ERRORS, folder / f"{ERRORS}.jsonl", TableFormat.JSONL)


@contextmanager
def _json_list(path: Path, start: str, end: str) -> Iterator[IO[str]]:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(start)
        yield file
        file.write(end)


def _write_rows(file: IO[str], rows: Iterable[Mapping[str, Any]]) -> None:
    for number, row in enumerate(rows):
        file.write((", " if number else "") + json.dumps(row))


def _coco_row(row: Mapping[str, Any]) -> dict[str, Any]:
    size = [row["photo_height"], row["photo_width"]]
    result = {
        "image_id": row["photo_id"],
        "category_id": row["class_id"],
        "bbox": [row["x"], row["y"], row["width"], row["height"]],
        "score": row["score"],
        "segmentation": {"size": size, "counts": row["rle"]},
    }
    return result if row["review"] is None else result | {"review": row["review"]}


def _coco_image(row: Mapping[str, Any]) -> dict[str, Any]:
    size = {"width": row["photo_width"], "height": row["photo_height"]}
    return {"id": row["photo_id"], "file_name": row["photo"], **size}
