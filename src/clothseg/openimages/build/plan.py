"""Which photos are to be converted, before any picture is opened."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clothseg.errors import DataError
from clothseg.openimages.archives import MaskArchive
from clothseg.openimages.classes import ClassName
from clothseg.openimages.hierarchy import Hierarchy
from clothseg.openimages.layout import SplitFiles
from clothseg.openimages.scan import IMAGE_ID
from clothseg.openimages.tables import BoxRow, ByPhoto, MaskRow, PhotoCredit, read_boxes, read_credits, read_masks


@dataclass(frozen=True)
class Source:
    """One split of Open Images, as far as the chosen classes and partitions go.

    Attributes:
        name: of the split of the data set that it feeds: `train` or `val`.
        files: where its parts lie.
        masks, boxes: their rows; boxes with and without mask.
        present: ids of the photos in the folder.
        wanted: ids of the photos to convert, in order.
        credit: author, licence, page and rotation by image id.
    """

    name: str
    files: SplitFiles
    masks: ByPhoto[MaskRow]
    boxes: ByPhoto[BoxRow]
    present: frozenset[str]
    wanted: list[str]
    credit: Mapping[str, PhotoCredit]


def load_source(
    name: str,
    files: SplitFiles,
    mids: Sequence[str],
    partitions: frozenset[str] | None,
    *,
    keep_empty: bool,
    limit: int | None,
) -> Source:
    """Read the tables of a split and see which photos are there.

    Args:
        name: of the split of the data set.
        files: of the split of Open Images.
        mids: class ids.
        partitions: first hex digits, or None.
        keep_empty: also photos without any box of the classes.
        limit: at most so many photos, the first by id of those that are there.

    Raises:
        DataError: a table breaks the format.
    """
    with MaskArchive(files.source, files.split):
        pass  # says at once if there are no masks at all
    masks, boxes = read_masks(files.masks, mids, partitions), read_boxes(files.boxes, mids, partitions)
    present = {p.stem for p in files.photos.iterdir() if p.suffix == ".jpg" and re.match(IMAGE_ID, p.stem)}
    if partitions is not None:
        present = {image_id for image_id in present if image_id[0] in partitions}
    wanted = set(masks.photos)
    if keep_empty:
        wanted |= present - set(boxes.photos)
    if limit is not None:
        wanted = set(sorted(wanted & present)[:limit])
    return Source(
        name, files, masks, boxes, frozenset(present), sorted(wanted), read_credits(files.credits, wanted & present)
    )


def pool_for(limit: int | None, val_fraction: float | None) -> int | None:
    """How many photos of train to convert, if no split may have more than `limit` photos."""
    if limit is None or val_fraction is None:
        return limit
    return max(math.floor(limit / max(val_fraction, 1 - val_fraction)), 2)


def check_apart(sources: Sequence[Source]) -> None:
    """Raise DataError when a photo stands in two splits."""
    if len(sources) == 2:
        both = set(sources[0].wanted) & set(sources[1].wanted)
        if both:
            raise DataError(f"photo {min(both)} stands in train and in validation; a photo must be in one of them")


def included_classes(
    chosen: Sequence[ClassName], known: Sequence[ClassName], hierarchy: Hierarchy
) -> dict[str, list[ClassName]]:
    """The kinds that each chosen class takes in, by the chosen class's id.

    A class that is below several chosen ones goes to the nearest of them, and to the one asked for first if two are
    equally near. A chosen class is taken in by no other. Parts (a hand of a person) are not taken in.
    """
    own = {c.mid for c in chosen}
    names = {c.mid: c for c in known}
    nearest: dict[str, tuple[int, str]] = {}
    for above in chosen:
        for mid, steps in hierarchy.below(above.mid).items():
            if mid not in own and mid in names and (mid not in nearest or steps < nearest[mid][0]):
                nearest[mid] = (steps, above.mid)
    return {c.mid: [names[mid] for mid, (_, above) in nearest.items() if above == c.mid] for c in chosen}


def folder_of(source: Path) -> Path:
    """The source if it is a folder.

    Raises:
        DataError: it is none.
    """
    if not source.is_dir():
        raise DataError(f"{source}: no such folder")
    return source
