"""Processes one shard: reads its photos, detects, and writes its tables, then its receipt."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from clothseg.catalogue.reading import PhotoReader, UnreachablePhoto, in_groups, read_ahead
from clothseg.catalogue.receipts import Receipt
from clothseg.catalogue.shards import CataloguePhoto, Shard
from clothseg.catalogue.store import Store
from clothseg.catalogue.tables import ERRORS, PHOTOS, Row, TableFormat, encode_table
from clothseg.catalogue.tasks import CUTOUTS, OpenNetwork, PhotoResult, Task, results
from clothseg.errors import PhotoError, UnreachableError


@dataclass(frozen=True)
class ShardJob:
    """What is the same for all shards. It is sent to other processes, so it can be pickled.

    Attributes:
        store: where the results are written.
        task: what is done with each photo.
        form: of the tables.
        batch: number of photos that the network gets together.
        work: identifies network and settings, for the receipt.
        settings: the same as text by name.
    """

    store: Store
    task: Task
    form: TableFormat
    batch: int
    work: str
    settings: Mapping[str, str] = field(default_factory=dict)


def do_shard(
    job: ShardJob,
    shard: Shard,
    network: OpenNetwork,
    reader: PhotoReader,
    *,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int], object] = lambda photos: None,
) -> Receipt | None:
    """Does a shard from its first photo to its receipt. Equal photos and an equal network give equal bytes.

    Args:
        job: what is the same for all shards.
        shard: its photos.
        network: finds.
        reader: reads the photos.
        stop: asked after each batch; if it returns True, the shard is left without tables.
        progress: gets the number of photos of each batch.

    Returns:
        The receipt; None after a stop.

    Raises:
        UnreachableError: no photo of the shard could be fetched, because a store does not answer. Nothing is written.
        OSError, DownloadError: the results cannot be written.
    """
    tables: dict[str, list[Row]] = {job.task.table: [], PHOTOS: [], ERRORS: []}
    unreachable: list[PhotoError] = []
    job.store.remove_leftovers(f"{CUTOUTS}/{shard.name}")
    for batch in in_groups(read_ahead(reader, shard.photos), job.batch):
        for photo, result in results(job.task, network, batch, shard.number):
            if isinstance(result, PhotoError):
                tables[ERRORS].append({"photo_id": photo.photo_id, "photo": photo.name, "error": str(result)})
                continue
            tables[job.task.table].extend(result.rows)
            tables[PHOTOS].append(_photo_row(photo, result))
            for name, content in result.files:
                job.store.write(name, content)
        unreachable += [pixels for _, pixels in batch if isinstance(pixels, UnreachablePhoto)]
        progress(len(batch))
        if stop():
            return None
    if len(unreachable) == len(shard.photos):
        raise UnreachableError(
            f"no photo of {shard.name} could be fetched, the last one because: {unreachable[-1]}. Nothing of this "
            "shard is written; when the store answers again, the same command continues"
        )
    return _write(job, shard, network.classes, tables)


def _photo_row(photo: CataloguePhoto, result: PhotoResult) -> Row:
    height, width = result.size
    size = {"photo_width": width, "photo_height": height}
    return {"photo_id": photo.photo_id, "photo": photo.name, **size, "found": len(result.rows)}


def _write(job: ShardJob, shard: Shard, classes: Sequence[str], tables: Mapping[str, Sequence[Row]]) -> Receipt:
    """Writes the tables and then the receipt. Without errors there is no table of errors."""
    files: dict[str, str] = {}
    for table, rows in tables.items():
        name = f"{table}/{shard.name}.{job.form}"
        if table == ERRORS and not rows:
            job.store.delete(name)  # of an earlier attempt
            continue
        content = encode_table(table, rows, job.form)
        files[name] = hashlib.sha256(content).hexdigest()
        job.store.write(name, content)
    receipt = Receipt(
        shard=shard.number,
        work=job.work,
        classes=list(classes),
        table=job.task.table,
        format=str(job.form),
        first_photo=shard.photos[0].photo_id,
        photos=len(shard.photos),
        failed=len(tables[ERRORS]),
        rows=len(tables[job.task.table]),
        is_last=shard.is_last,
        list_before=shard.list_before,
        list_after=shard.list_after,
        files=files,
        settings=job.settings,
    )
    receipt.write(job.store)
    return receipt
