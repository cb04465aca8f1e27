"""The rows of the tables of Open Images: masks, boxes, and photos with their authors.

Rows stay in columns, ordered by photo, until the rows of one photo are needed. So millions of them fit into memory.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import polars as pl

from clothseg.errors import DataError, reading
from clothseg.openimages.scan import BrokenRow, Columns, scan

FLAGS = ("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside")
_MASK = Columns(ids=("ImageID", "BoxID", "LabelName", "MaskPath"), numbers=("BoxXMin", "BoxYMin", "BoxXMax", "BoxYMax"))
_BOX = Columns(
    ids=("ImageID", "LabelName"),
    numbers=("XMin", "YMin", "XMax", "YMax"),
    flags=FLAGS,
    required_flags=("IsGroupOf",),
)
_PHOTO_LABEL = Columns(ids=("ImageID", "LabelName"), numbers=("Confidence",))

Box = tuple[float, float, float, float]
Flags = tuple[int, int, int, int, int]
UNKNOWN: Flags = (-1, -1, -1, -1, -1)


@dataclass(frozen=True)
class MaskRow:
    """A row of `*-annotations-object-segmentation.csv`; `box` is x1 y1 x2 y2 in 0..1."""

    image_id: str
    box_id: str
    mid: str
    mask_path: str
    box: Box


@dataclass(frozen=True)
class BoxRow:
    """A row of `*-annotations-bbox.csv`, which has no BoxID; `box` is x1 y1 x2 y2 in 0..1.

    `flags` are those of `FLAGS`, in that order: 1 yes, 0 no, -1 unknown.
    """

    image_id: str
    mid: str
    box: Box
    flags: Flags = UNKNOWN

    @property
    def is_group(self) -> bool:
        """Whether the box is around a group of more than five objects that touch."""
        return self.flags[FLAGS.index("IsGroupOf")] == 1


@dataclass(frozen=True)
class PhotoCredit:
    """The author, licence and page of a photo, and its rotation, from an image list.

    `rotation` is 0, 90, 180 or 270: by these degrees counter-clockwise, photo and boxes together become upright. None
    means unknown. Source: the page "Rotated images in Open Images".
    """

    author: str
    license: str
    source_url: str
    rotation: int | None = None


T = TypeVar("T")


class ByPhoto(Generic[T]):
    """The rows of a table, ordered by photo.

    Attributes:
        frame: the rows as columns, with the names of the table.
        broken: rows that were left out because their format is wrong.
    """

    def __init__(self, frame: pl.DataFrame, make: Callable[[tuple[Any, ...]], T], broken: Sequence[BrokenRow]) -> None:
        self.frame, self._make, self.broken = frame, make, list(broken)
        self._places: dict[str, tuple[int, int]] = {}
        start = 0
        for length, image_id in frame["ImageID"].rle().struct.unnest().iter_rows():
            self._places[image_id] = (start, length)
            start += length

    @property
    def photos(self) -> Collection[str]:
        """Ids of the photos with a row, in order."""
        return self._places.keys()

    def of(self, image_id: str) -> list[T]:
        """The rows of a photo."""
        if image_id not in self._places:
            return []
        start, length = self._places[image_id]
        return [self._make(row) for row in self.frame.slice(start, length).rows()]

    def __len__(self) -> int:
        return len(self.frame)

    def __iter__(self) -> Iterator[T]:
        return map(self._make, self.frame.iter_rows())


def read_masks(path: Path, mids: Collection[str] | None, partitions: Collection[str] | None = None) -> ByPhoto[MaskRow]:
    """Reads the rows of a mask list, ordered by image, box and path. Repeated rows are kept.

    Args:
        path: the list.
        mids: class ids; None for all.
        partitions: first hex digits of the image ids; None for all.

    Raises:
        DataError: there is no such file or column, or too many rows are broken.
    """
    frame, broken = scan(path, _MASK, mids, partitions)
    return ByPhoto(
        frame.sort("ImageID", "BoxID", "MaskPath", *_MASK.numbers),
        lambda r: MaskRow(r[0], r[1], r[2], r[3], (r[4], r[5], r[6], r[7])),
        broken,
    )


def read_boxes(path: Path, mids: Collection[str] | None, partitions: Collection[str] | None = None) -> ByPhoto[BoxRow]:
    """Reads the rows of a box list, ordered by image, class and place. The arguments are those of `read_masks`.

    Raises:
        DataError: there is no such file or column, or too many rows are broken.
    """
    frame, broken = scan(path, _BOX, mids, partitions)
    return ByPhoto(
        frame.sort("ImageID", "LabelName", *_BOX.numbers, *FLAGS),
        lambda r: BoxRow(r[0], r[1], (r[2], r[3], r[4], r[5]), (r[6], r[7], r[8], r[9], r[10])),
        broken,
    )


def read_photos_without(
    path: Path, mids: Collection[str], partitions: Collection[str] | None = None
) -> tuple[frozenset[str], list[BrokenRow]]:
    """Reads which photos people verified to show no class of `mids`, and which rows are broken.

    A class without a row on a photo is unknown there, not absent: Open Images asks people about the classes that a
    program thought possible.

    Args:
        path: `*-annotations-human-imagelabels-boxable.csv`: a row for each photo and class that people looked for, with
            the `Confidence` 1 (they saw it) or 0 (they did not).
        mids: class ids.
        partitions: first hex digits of the image ids; None for all.

    Raises:
        DataError: there is no such file or column, or too many rows are broken.
    """
    frame, broken = scan(path, _PHOTO_LABEL, mids, partitions)
    of_class = frame.group_by("ImageID", "LabelName").agg(pl.col("Confidence").max())  # 1 where rows disagree
    absent = of_class.filter(pl.col("Confidence") == 0).group_by("ImageID").len()
    return frozenset(absent.filter(pl.col("len") == len(set(mids)))["ImageID"]), broken


def read_credits(path: Path, image_ids: Collection[str]) -> dict[str, PhotoCredit]:
    """Reads author, licence, page and rotation of the photos `image_ids`. Photos that are not listed are left out.

    Raises:
        DataError: a column is missing, or it is not a table.
    """
    text = ["Author", "License", "OriginalLandingURL", "OriginalURL"]
    with reading(path, DataError, "is this the right table?"):
        table = pl.scan_csv(path, infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=True)
        names = table.collect_schema().names()
        missing = [c for c in ["ImageID", *text] if c not in names]
        if missing:
            raise DataError(f"{path}: row 1: no column {', '.join(missing)}; is this the right table?")
        rotation = pl.col("Rotation") if "Rotation" in names else pl.lit("").alias("Rotation")
        selected = table.filter(pl.col("ImageID").is_in(sorted(image_ids))).select("ImageID", *text, rotation)
        rows = selected.collect(engine="streaming")
    return {
        image_id: PhotoCredit(author or "", terms or "", landing or url or "", _degrees(turn))
        for image_id, author, terms, landing, url, turn in rows.iter_rows()
    }


def _degrees(text: str | None) -> int | None:
    """Converts `90.0` to 90; returns None for an empty cell or anything else."""
    return {"0": 0, "90": 90, "180": 180, "270": 270}.get((text or "").strip().removesuffix(".0"))
