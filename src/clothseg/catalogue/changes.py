"""What has changed since a shard was done: the settings, which are in its receipt, or the photos."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from clothseg.catalogue.receipts import Receipt
from clothseg.catalogue.shards import Shard
from clothseg.catalogue.store import Store
from clothseg.catalogue.tables import ERRORS, PHOTOS, TableFormat, decode_table
from clothseg.errors import ClothsegError

_NAMED = 3  # settings in a message
_LONGEST = 60  # characters of a value in a message
_DIGITS = 12  # of a SHA-256 in a message
_NAMES = {"version": "version of clothseg", "weights": "SHA-256 of the weights"}


def named_settings(work: object, task: object, form: str, shard_size: int) -> dict[str, str]:
    """What the results depend on, as text by name; what is not set is left out.

    Args:
        work: identifies the network and its settings; a mapping gives each a name.
        task, form, shard_size: see `run_catalogue`.
    """
    facts: dict[str, Any] = dict(work) if isinstance(work, Mapping) else {"work": work}
    facts["class_names"] = facts.pop("classes", None)
    overrides = [str(text).partition("=") for text in facts.pop("overrides", ())]
    done = asdict(task) if is_dataclass(task) and not isinstance(task, type) else {"task": task}
    return {
        **_flat(done),
        **_flat({"format": str(form), "shard_size": shard_size}),
        **_flat({_NAMES.get(name, name): value for name, value in facts.items()}),
        **{name: value for name, _, value in overrides},
    }


def _flat(values: Mapping[str, Any]) -> dict[str, str]:
    """The values as text. What is inside another value has both names, except inside `settings`."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= {key if name == "settings" else f"{name}.{key}": text for key, text in _flat(value).items()}
        elif isinstance(value, list | tuple):
            flat |= {name: ", ".join(map(str, value))} if value else {}
        elif value is not None:
            flat[name] = value if isinstance(value, str) else json.dumps(value, default=str)
    return flat


def changed_settings(before: Mapping[str, str], now: Mapping[str, str], form: str = "{} was {}, is {} now") -> str:
    """` (shard_size was 4, is 3 now)` with a few settings; the empty string if they are equal, or not known.

    Args:
        before: as `named_settings` gives them.
        now: the same.
        form: for the name of a setting and its two values.
    """
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)] if before and now else []
    if "table" in changed:  # cut-outs have other settings than detections
        changed = ["table"]
    texts = [form.format(name, _short(name, before), _short(name, now)) for name in changed[:_NAMED]]
    texts += [f"and {len(changed) - _NAMED} more"] if len(changed) > _NAMED else []
    return f" ({'; '.join(texts)})" if texts else ""


def _short(name: str, values: Mapping[str, str]) -> str:
    text = values.get(name, "not set")
    if name == _NAMES["weights"]:
        return text[:_DIGITS]
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


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
    number = next((number for number in sorted(before | now) if before.get(number) != now.get(number)), 0)
    if number in before and number in now:
        return f": photo {number} was {before[number]}, is {now[number]} now"
    if number in before:
        return f": photo {number} was {before[number]}, and there is no such photo now"
    last = max(before)
    if number in now:
        return f": it ended with photo {last} ({before[last]}), and photo {number} is {now[number]} now"
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
