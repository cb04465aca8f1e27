"""Which photos are converted, before any picture is opened."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clothseg.errors import DataError
from clothseg.openimages.archives import MaskArchive
from clothseg.openimages.build.options import BuildOptions
from clothseg.openimages.classes import ClassName
from clothseg.openimages.hierarchy import Hierarchy
from clothseg.openimages.layout import SplitFiles, split_files
from clothseg.openimages.scan import IMAGE_ID
from clothseg.openimages.tables import (
    BoxRow,
    ByPhoto,
    MaskRow,
    PhotoCredit,
    parse_partitions,
    read_boxes,
    read_credits,
    read_masks,
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
        credit: author, licence, page and rotation by image id.
    """

    name: str
    files: SplitFiles
    masks: ByPhoto[MaskRow]
    boxes: ByPhoto[BoxRow]
    present: frozenset[str]
    selected: list[str]
    credit: Mapping[str, PhotoCredit]


def load_sources(source: Path, mids: Sequence[str], options: BuildOptions) -> list[SplitSource]:
    """Reads the tables of the splits that a build needs.

    These are train, validation unless train is split by a fraction, and test if it is asked for.

    Raises:
        DataError: a table or folder is missing or broken, or a photo is in two splits.
    """
    splits = {"train": "train"}
    splits |= {} if options.val_fraction is not None else {"val": "validation"}
    splits |= {"test": "test"} if options.include_test else {}
    sources = [_load_source(name, split_files(source, split), mids, options) for name, split in splits.items()]
    for one, other in itertools.combinations(sources, 2):
        both = set(one.selected) & set(other.selected)
        if both:
            raise DataError(
                f"photo {min(both)} is in {one.files.split} and in {other.files.split}; remove it from one of them"
            )
    return sources


def _load_source(name: str, files: SplitFiles, mids: Sequence[str], options: BuildOptions) -> SplitSource:
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
    if options.keep_empty:
        selected |= present - set(boxes.photos)
    limit = _limit_before_split(options) if name == "train" else options.limit
    if limit is not None:
        selected = set(sorted(selected & present)[:limit])
    credit = read_credits(files.credits, selected & present)
    return SplitSource(name, files, masks, boxes, frozenset(present), sorted(selected), credit)


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
