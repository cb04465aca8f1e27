"""Which photos of a dataset can be read, before work begins with them."""

import copy
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clothseg.cores import usable_cores
from clothseg.dataset.coco import CocoLikeDataset, ImageEntry
from clothseg.errors import DataError, PhotoError, RunError, reading
from clothseg.files import read_json
from clothseg.photos import check_photo
from clothseg.progress import ProgressBar, no_progress

MOST_UNREADABLE = 0.5
"""Fraction of the photos from which it is the folder that is wrong, not its photos."""


def readable(dataset: CocoLikeDataset, *, progress: ProgressBar = no_progress) -> tuple[CocoLikeDataset, list[str]]:
    """The dataset without the photos that cannot be read or have another size than their annotations.

    Every photo is decoded once, JPEG at an eighth of its size, which finds truncated files as well and takes less time.

    Args:
        dataset: with photos; it does not change.
        progress: wraps the photos, for a progress bar.

    Returns:
        the dataset, or one that lacks these photos; and for each of them a message that names it.

    Raises:
        PhotoError: more than `MOST_UNREADABLE` of the photos cannot be read.
    """
    with ThreadPoolExecutor(usable_cores()) as pool:
        reasons = list(progress(pool.map(_reason, dataset.images), len(dataset), "checking photos"))
    unread = [reason for reason in reasons if reason]
    if len(unread) > MOST_UNREADABLE * len(dataset):
        raise PhotoError(
            f"{dataset.source}: {len(unread)} of {len(dataset)} photos cannot be read; is this the folder of the "
            f"photos? The first: {unread[0]}"
        )
    found = {entry.id: reason for entry, reason in zip(dataset.images, reasons, strict=True) if reason}
    return leave_out(dataset, found), unread


def leave_out(dataset: CocoLikeDataset, reasons: Mapping[int, str]) -> CocoLikeDataset:
    """The dataset without some photos.

    Args:
        dataset: it does not change.
        reasons: why each of these photos, by its id, is left out.
    """
    if not reasons:
        return dataset
    other = copy.copy(dataset)
    other.images = [entry for entry in dataset.images if entry.id not in reasons]
    other.left_out = dataset.left_out | dict(reasons)
    return other


def read_left_out(path: Path) -> dict[str, dict[int, str]] | None:
    """What a run or a learning curve left out of `train` and `val` when it began: reasons by the photos' ids.

    Args:
        path: its `run.json` or `plan.json`.

    Returns:
        None if the file does not exist, or does not say it because an earlier version wrote it.

    Raises:
        RunError: the file is damaged.
    """
    if not path.is_file():
        return None
    with reading(path, RunError, "delete the file, it will be written again"):
        known = read_json(path).get("left_out")
        if known is None:
            return None
        return {split: {int(number): str(why) for number, why in known[split].items()} for split in ("train", "val")}


def first_readable(dataset: CocoLikeDataset, positions: Iterable[int]) -> int:
    """The first of some positions of a prepared dataset whose photo and annotations can be read.

    Raises:
        PhotoError, DataError: none can be; why the first cannot.
    """
    reasons: list[PhotoError | DataError] = []
    for position in positions:
        entry = dataset.images[position]
        try:
            check_photo(entry.path, (entry.height, entry.width))
            dataset.load_instances(position)
        except (PhotoError, DataError) as error:
            reasons.append(error)
        else:
            return position
    raise reasons[0]


def _reason(entry: ImageEntry) -> str:
    """Why a photo cannot be used; the empty string if it can."""
    try:
        check_photo(entry.path, (entry.height, entry.width))
    except PhotoError as error:
        return str(error)
    return ""
