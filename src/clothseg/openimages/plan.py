"""Which photos and mask rows go into which split of the data set, before any picture is opened."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from clothseg.dataset.split import split_by_fraction
from clothseg.errors import DataError
from clothseg.openimages.tables import (
    IMAGE_ID,
    BoxRow,
    ClassName,
    MaskRow,
    SplitFiles,
    read_boxes,
    read_masks,
)


@dataclass(frozen=True)
class Source:
    """One split of Open Images, as far as the chosen classes and partitions go.

    Attributes:
        files: where its parts lie.
        rows: mask rows by image id.
        repeated: mask rows that stand in the list once more.
        boxes: with and without mask.
        present: ids of the photos in the folder.
    """

    files: SplitFiles
    rows: dict[str, list[MaskRow]]
    repeated: list[MaskRow]
    boxes: list[BoxRow]
    present: frozenset[str]


@dataclass(frozen=True)
class Part:
    """One split of the data set to be: which photos of which source."""

    name: str
    source: Source
    photos: list[str]


def load_source(files: SplitFiles, chosen: Sequence[ClassName], partitions: frozenset[str] | None) -> Source:
    """Read the tables of a split and see which photos are there.

    Raises:
        DataError: a table breaks the format.
    """
    mids = [c.mid for c in chosen]
    rows: dict[str, list[MaskRow]] = defaultdict(list)
    repeated: list[MaskRow] = []
    previous: MaskRow | None = None
    for row in read_masks(files.masks, mids, partitions):
        same = previous and (row.image_id, row.box_id, row.mask_path) == (
            previous.image_id,
            previous.box_id,
            previous.mask_path,
        )
        (repeated if same else rows[row.image_id]).append(row)
        previous = row
    present = {p.stem for p in files.photos.iterdir() if p.suffix == ".jpg" and re.match(IMAGE_ID, p.stem)}
    if partitions is not None:
        present = {image_id for image_id in present if image_id[0] in partitions}
    return Source(files, dict(rows), repeated, read_boxes(files.boxes, mids, partitions), frozenset(present))


def plan_parts(
    sources: Sequence[Source], *, val_fraction: float | None, seed: int, keep_empty: bool, limit: int | None
) -> list[Part]:
    """Share out the photos; the arguments are those of `build_dataset`.

    Raises:
        DataError: the fraction is out of range, or a photo stands in train and validation.
    """
    wanted = [_candidates(source, keep_empty=keep_empty) for source in sources]
    if val_fraction is None:
        both = wanted[0] & wanted[1]
        if both:
            raise DataError(f"photo {min(both)} stands in train and in validation; a photo must be in one of them")
        shares = list(zip(("train", "val"), sources, wanted, strict=True))
    else:
        # Photos that are not there go along with train only to be reported; they must not distort the fraction.
        there = wanted[0] & sources[0].present
        train, val = split_by_fraction(there, val_fraction, seed)
        shares = [("train", sources[0], train | (wanted[0] - there)), ("val", sources[0], val)]
    if limit is not None:
        shares = [(name, source, set(sorted(ids & source.present)[:limit])) for name, source, ids in shares]
    return [Part(name, source, sorted(ids)) for name, source, ids in shares]


def _candidates(source: Source, *, keep_empty: bool) -> set[str]:
    """Photos with a mask row; as negatives only those without any box of a chosen class, masked or not."""
    wanted = set(source.rows)
    if keep_empty:
        wanted |= source.present - {box.image_id for box in source.boxes}
    return wanted
