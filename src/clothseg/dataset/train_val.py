"""Reads the photos to learn from and those to validate on, from two files or from one that is split."""

from pathlib import Path

from clothseg.dataset.coco import CocoLikeDataset
from clothseg.dataset.duplicates import hash_photos, near_duplicates
from clothseg.dataset.photo_split import PhotoSplit, checksum_of
from clothseg.dataset.reading import choose_split, find_layout
from clothseg.dataset.split import split_photos
from clothseg.errors import DataError
from clothseg.progress import ProgressBar, no_progress


def read_training_data(
    data: Path | str,
    train: str = "train",
    val: str = "val",
    fraction: float | None = None,
    *,
    seed: int = 0,
    known: PhotoSplit | None = None,
    progress: ProgressBar = no_progress,
) -> tuple[CocoLikeDataset, CocoLikeDataset]:
    """Reads the photos to learn from and those to validate on, prepared.

    Args:
        data: a dataset, an export in COCO's format, or a COCO file.
        train: the split to learn from.
        val: the split to validate on; not used with `fraction` or `known`.
        fraction: of the photos of `train` to validate on instead; see `split_one_file`.
        seed: of that split.
        known: the split of a run that continues.
        progress: wraps the photos while they are compared, for a progress bar.

    Raises:
        DataError: a file cannot be used, or there is only one and no `fraction`.
    """
    if known is not None:
        return apply_split(CocoLikeDataset().load_data(data, known.annotations).prepare(), known)
    if fraction is not None:
        return split_one_file(data, fraction, split=train, seed=seed, progress=progress)
    return read_train_val(data, train, val)


def read_train_val(data: Path | str, train: str = "train", val: str = "val") -> tuple[CocoLikeDataset, CocoLikeDataset]:
    """Reads two splits of a dataset, prepared.

    Raises:
        DataError: there is only one file for both, or a file cannot be used; see `CocoLikeDataset.load_data`.
    """
    layout = find_layout(Path(data))
    files = [choose_split(layout, name) for name in (train, val)]
    if files[0].annotations == files[1].annotations:
        raise DataError(
            f"{data}: there is only one annotation file ({files[0].annotations.name}); add --val-fraction 0.2 to keep "
            "a part of its photos for validation"
        )
    first, second = (CocoLikeDataset().load_data(data, split).prepare() for split in (train, val))
    return first, second


def split_one_file(
    data: Path | str,
    fraction: float,
    *,
    split: str = "train",
    seed: int = 0,
    progress: ProgressBar = no_progress,
) -> tuple[CocoLikeDataset, CocoLikeDataset]:
    """Splits the photos of one file: stratified by class, near-duplicates on one side; see `split_photos`.

    Args:
        data: the folder of a dataset, or a COCO file.
        fraction: of the photos for validation, above 0 and below 1.
        split: the file to split, if there are several.
        seed: another seed gives another split.
        progress: wraps the photos while they are compared, for a progress bar.

    Returns:
        The prepared datasets for training and validation; `photo_split` of both says which photos they have.

    Raises:
        DataError: the file cannot be used, or has too few photos.
    """
    whole = CocoLikeDataset().load_data(data, split).prepare()
    if whole.source is None:
        raise DataError(f"{data}: there is no annotation file to split")
    names = {str(entry.id): entry.path for entry in whole.images}
    labels = {
        str(entry.id): {str(row["category_id"]) for row in entry.annotations if not row.get("iscrowd")}
        for entry in whole.images
    }
    together = near_duplicates(dict(zip(names, hash_photos(list(names.values()), progress), strict=True)))
    same_file: dict[Path, list[str]] = {}
    for name, path in names.items():
        same_file.setdefault(path, []).append(name)
    sides = split_photos(labels, fraction, seed, [*together, *same_file.values()])
    train, val = (tuple(entry.id for entry in whole.images if str(entry.id) in side) for side in sides)
    chosen = choose_split(find_layout(Path(data)), split)
    return apply_split(whole, PhotoSplit(chosen.name, checksum_of(whole.source), fraction, seed, train, val))


def apply_split(whole: CocoLikeDataset, split: PhotoSplit) -> tuple[CocoLikeDataset, CocoLikeDataset]:
    """The two sides of a split, with `photo_split` set."""
    sides = whole.only(split.train), whole.only(split.val)
    for side in sides:
        side.photo_split = split
    return sides
