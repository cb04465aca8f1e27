"""Leaves photos out of a dataset that cannot be read, before a training begins with them."""

import copy
from concurrent.futures import ThreadPoolExecutor

from clothseg.cores import usable_cores
from clothseg.dataset.coco import CocoLikeDataset, ImageEntry
from clothseg.errors import PhotoError
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
    if not unread:
        return dataset, []
    other = copy.copy(dataset)
    other.images = [entry for entry, reason in zip(dataset.images, reasons, strict=True) if not reason]
    return other, unread


def _reason(entry: ImageEntry) -> str:
    """Why a photo cannot be used; the empty string if it can."""
    try:
        check_photo(entry.path, (entry.height, entry.width))
    except PhotoError as error:
        return str(error)
    return ""
