"""The receipt of a shard: a small JSON file that is written last and says that the shard is complete, and what of."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from pydantic import TypeAdapter, ValidationError

from clothseg.catalogue.shards import Share, shard_name, shard_number
from clothseg.catalogue.store import Store
from clothseg.errors import DataError

FOLDER = "shards"


@dataclass(frozen=True)
class Receipt:
    """What a complete shard is.

    Attributes:
        shard: its number, from 1.
        work: SHA-256 of what makes the results: the network's weights, its settings, the options.
        classes: names of the classes 1..K.
        table: the name of its table of results: `detections` or `garments`.
        format: `parquet` or `jsonl`.
        first_photo: `photo_id` of its first photo.
        photos: number of its photos.
        failed: how many of them could not be read or processed.
        rows: of the table of results.
        is_last: whether the catalogue ends with this shard.
        list_before, list_after: see `Shard`.
        files: SHA-256 of each of its tables, by name relative to the folder.
        settings: what `work` is made of, as text by name, for messages.
    """

    shard: int
    work: str
    classes: list[str]
    table: str
    format: str
    first_photo: int
    photos: int
    failed: int
    rows: int
    is_last: bool
    list_before: str
    list_after: str
    files: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    def write(self, store: Store) -> None:
        """Writes it; with this the shard is complete."""
        store.write(receipt_file(self.shard), (json.dumps(asdict(self), indent=1) + "\n").encode())


def receipt_file(number: int) -> str:
    """`shards/shard-000012.json`."""
    return f"{FOLDER}/{shard_name(number)}.json"


def read_receipt(store: Store, number: int) -> Receipt:
    """The receipt of a shard.

    Raises:
        DataError: the file is not a receipt.
    """
    name = receipt_file(number)
    try:
        receipt = TypeAdapter(Receipt).validate_json(store.read(name))
    except ValidationError as error:
        raise DataError(
            f"{store.url(name)}: not the receipt of a shard; delete it, and the same command does the shard again"
        ) from error
    if receipt.shard != number:
        raise DataError(f"{store.url(name)}: it says that it is of shard {receipt.shard}; was the file renamed?")
    return receipt


def finished_shards(store: Store, share: Share | None = None) -> list[int]:
    """The numbers of the shards with a receipt, ascending; only those of a job if `share` is given."""
    numbers = [shard_number(name) for name in store.names(FOLDER) if name.endswith(".json")]
    return sorted(n for n in numbers if n is not None and (share is None or share.has(n)))
