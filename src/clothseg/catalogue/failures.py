"""The photos of a job that failed, as messages."""

from collections.abc import Iterator

from clothseg.catalogue.run import CatalogueOptions
from clothseg.catalogue.shards import shard_number
from clothseg.catalogue.store import Store
from clothseg.catalogue.tables import ERRORS, decode_table


def failures(out: str, options: CatalogueOptions) -> Iterator[str]:
    """Yields `photo 7: the reason` for each photo of a job that could not be read or processed, in the order of shards.

    Tables are read one after the other, as they are needed.

    Args:
        out: path or URL of the folder of the results.
        options: those of the job.

    Raises:
        DataError, DownloadError: a table cannot be read.
    """
    store = Store(out)
    numbers = sorted((number, name) for name in store.names(ERRORS) if (number := shard_number(name)) is not None)
    for number, name in numbers:
        if options.share.has(number):
            path = f"{ERRORS}/{name}"
            rows = decode_table(ERRORS, store.read(path), options.form, store.url(path))
            yield from (f"photo {photo_id}: {error}" for photo_id, _, error in rows.rows())
