"""Which photos are converted, before any picture is opened."""

import itertools
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clothseg.errors import DataError
from clothseg.openimages.archives import MaskArchive
from clothseg.openimages.build.options import BuildOptions
from clothseg.openimages.classes import ClassName
from clothseg.openimages.hierarchy import Hierarchy
from clothseg.openimages.layout import SplitFiles, split_files
from clothseg.openimages.partitions import parse_partitions
from clothseg.openimages.scan import IMAGE_ID, BrokenRow
from clothseg.openimages.tables import (
    BoxRow,
    ByPhoto,
    MaskRow,
    PhotoCredit,
    read_boxes,
    read_credits,
    read_masks,
    read_photos_without,
)


@dataclass(frozen=True)
class SplitSource:
    """One split of Open Images, limited to the classes and partitions of a build.

    Attributes:
        name: the split of the dataset that it feeds: `train`, `val` or `test`.
        files: the paths of its parts.
        masks: mask rows.
        boxes: box rows, with and without a mask.
        present: ids of the photos in the folder.
        selected: ids of the photos to convert, in order.
        broken: rows of the tables that were left out because their format is wrong.
        credit: author, licence, page and rotation by image id.
    """

    name: str
    files: SplitFiles
    masks: ByPhoto[MaskRow]
    boxes: ByPhoto[BoxRow]
    present: frozenset[str]
    selected: list[str]
    broken: list[BrokenRow]
    credit: Mapping[str, PhotoCredit]


def load_sources(
    source: Path, selected: Sequence[ClassName], included: Mapping[str, Sequence[ClassName]], options: BuildOptions
) -> list[SplitSource]:
    """Reads the tables of the splits that a build needs.

    These are train, validation unless train is split by a fraction, and test if it is asked for.

    Args:
        source: a folder of Open Images files.
        selected: the classes.
        included: the kinds that each of them includes, by its id.
        options: of the build.

    Raises:
        DataError: a table or folder is missing or broken, or a photo is in two splits.
    """
    splits = {"train": "train"}
    splits |= {} if options.val_fraction is not None else {"val": "validation"}
    splits |= {"test": "test"} if options.include_test else {}
    sources = [
        _load_source(name, split_files(source, split, photo_labels=options.keep_empty), selected, included, options)
        for name, split in splits.items()
    ]
    for one, other in itertools.combinations(sources, 2):
        both = set(one.selected) & set(other.selected)
        if both:
            raise DataError(
                f"photo {min(both)} is in {one.files.split} and in {other.files.split}; remove it from one of them"
            )
    return sources


def _load_source(
    name: str,
    files: SplitFiles,
    classes: Sequence[ClassName],
    included: Mapping[str, Sequence[ClassName]],
    options: BuildOptions,
) -> SplitSource:
    mids = [m.mid for c in classes for m in (c, *included[c.mid])]
    partitions = parse_partitions(options.partitions)
    with MaskArchive(files.source, files.split):
        pass  # raises at once if there are no masks at all
    masks, boxes = read_masks(files.masks, mids, partitions), read_boxes(files.boxes, mids, partitions)
    present = {p.stem for p in files.photos.iterdir() if p.suffix == ".jpg" and re.match(IMAGE_ID, p.stem)}
    if partitions is not None:
        present = {image_id for image_id in present if image_id[0] in partitions}
    selected = set(masks.photos)
    if options.boxes_without_mask == "learn":
        selected |= set(boxes.photos) & present
    broken: list[BrokenRow] = []
    if options.keep_empty and files.photo_labels is None:
        selected |= present - selected - set(boxes.photos)
    elif options.keep_empty and files.photo_labels is not None:
        verified, broken = read_photos_without(files.photo_labels, [c.mid for c in classes], partitions)
        # chosen before looking which photos are there, so that a download can choose the same ones
        selected |= present & set(first_empty(verified - set(boxes.photos), masks.photos))
    limit = _limit_before_split(options) if name == "train" else options.limit
    if limit is not None:
        selected = set(sorted(selected & present)[:limit])
    credit = read_credits(files.credits, selected & present)
    broken = [*masks.broken, *boxes.broken, *broken]
    return SplitSource(name, files, masks, boxes, frozenset(present), sorted(selected), broken, credit)


def first_empty(empty: Collection[str], with_masks: Collection[str]) -> list[str]:
    """Of photos without objects those that a dataset takes: the first by id, at most as many as have masks."""
    return sorted(set(empty) - set(with_masks))[: len(with_masks)]


def _limit_before_split(options: BuildOptions) -> int | None:
    """The number of train photos to convert, so that neither train nor val has more than `limit` of them."""
    if options.limit is None or options.val_fraction is None:
        return options.limit
    return max(math.floor(options.limit / max(options.val_fraction, 1 - options.val_fraction)), 2)


def included_classes(
    selected: Sequence[ClassName], known: Sequence[ClassName], hierarchy: Hierarchy
) -> dict[str, list[ClassName]]:
    """The kinds that each selected class includes, by the id of the selected class.

    A kind below several selected classes goes to the nearest of them, or to the first if two are equally near. A
    selected class is included in no other. Parts, such as the hand of a person, are not included.
    """
    mids = {c.mid for c in selected}
    names = {c.mid: c for c in known}
    nearest: dict[str, tuple[int, str]] = {}
    for parent in selected:
        for mid, steps in hierarchy.below(parent.mid).items():
            if mid not in mids and mid in names and (mid not in nearest or steps < nearest[mid][0]):
                nearest[mid] = (steps, parent.mid)
    return {c.mid: [names[mid] for mid, (_, parent) in nearest.items() if parent == c.mid] for c in selected}
