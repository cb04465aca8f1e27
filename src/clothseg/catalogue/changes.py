"""What has changed since a shard was done: the settings, which are in its receipt, or the photos."""

from dataclasses import asdict, is_dataclass

from clothseg.catalogue.receipts import Receipt
from clothseg.catalogue.shards import Shard
from clothseg.catalogue.store import Store
from clothseg.catalogue.tables import ERRORS, PHOTOS, TableFormat, decode_table
from clothseg.changed_work import changed_input, named_settings
from clothseg.errors import ClothsegError


def task_settings(work: object, task: object, form: str, shard_size: int) -> dict[str, str]:
    """What the results depend on, as text by name; what is not set is left out.

    Args:
        work, task, form, shard_size: see `run_catalogue`.
    """
    done = asdict(task) if is_dataclass(task) and not isinstance(task, type) else {"task": task}
    return named_settings(work, {**done, "format": str(form), "shard_size": shard_size})


def changed_photos(store: Store, receipt: Receipt, shard: Shard) -> str:
    """`: photo 3 was a.jpg, is b.jpg now`; the empty string if the tables of the shard do not say it.

    Args:
        store: the folder of the results.
        receipt: of the shard as it was done.
        shard: the shard of this number now.
    """
    if receipt.list_before != shard.list_before:
        return f": one of the photos before number {receipt.first_photo} is another one now"
    try:
        before = _photos_in(store, receipt)
    except ClothsegError:
        return ""
    now = {photo.photo_id: photo.name for photo in shard.photos}
    if changed := changed_input(before, now):
        return f": {changed}"
    last = max(before)
    if last + 1 in now:
        return f": it ended with photo {last} ({before[last]}), and photo {last + 1} is {now[last + 1]} now"
    return f": it ends with photo {last} now, and had more" if shard.is_last else f": it ended with photo {last}"


def _photos_in(store: Store, receipt: Receipt) -> dict[int, str]:
    """The names of the photos of a shard by their numbers."""
    found: dict[int, str] = {}
    for name in receipt.files:
        table = name.partition("/")[0]
        if table in {PHOTOS, ERRORS}:
            rows = decode_table(table, store.read(name), TableFormat(receipt.format), store.url(name))
            found |= dict(zip(rows["photo_id"], rows["photo"], strict=True))
    return found
