"""Rows of Open Images' tables: masks, boxes, photos with their authors.

Rows stay in columns, by photo, until somebody asks for those of one photo: so millions of them fit into memory.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import polars as pl

from clothseg.errors import DataError
from clothseg.openimages.scan import BrokenRow, Columns, scan

FLAGS = ("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside")
_MASK = Columns(ids=("ImageID", "BoxID", "LabelName", "MaskPath"), numbers=("BoxXMin", "BoxYMin", "BoxXMax", "BoxYMax"))
_BOX = Columns(
    ids=("ImageID", "LabelName"),
    numbers=("XMin", "YMin", "XMax", "YMax"),
    flags=FLAGS,
    required_flags=("IsGroupOf",),
)

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
        """Whether the box stands for a group of more than five that touch."""
        return self.flags[FLAGS.index("IsGroupOf")] == 1


@dataclass(frozen=True)
class PhotoCredit:
    """Whom a photo comes from, out of an image list, and how it should be turned.

    `rotation` is 0, 90, 180 or 270, the degrees counter-clockwise that photo and boxes are to be turned together to
    stand upright, or None where nobody knows. Source: the page "Rotated images in Open Images".
    """

    author: str
    license: str
    source_url: str
    rotation: int | None = None


T = TypeVar("T")


class ByPhoto(Generic[T]):
    """Rows of a table, ordered by photo.

    Attributes:
        frame: the rows as columns, with the table's own names.
        broken: rows that were left out because they break the format.
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
        """Ids of the photos that have a row, in order."""
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


def parse_partitions(text: str | None) -> frozenset[str] | None:
    """First hex digits of image ids from `f`, `0f`, `0,f` or `0-3`; None, for all of them, from None.

    Raises:
        DataError: it is none of these.
    """
    if text is None:
        return None
    digits, chosen = "0123456789abcdef", set[str]()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if dash and len(first) == len(last) == 1 and set(first + last) <= set(digits) and first <= last:
            chosen.update(digits[int(first, 16) : int(last, 16) + 1])
        elif part and not dash and set(part) <= set(digits):
            chosen.update(part)
        else:
            raise DataError(f"partitions {text!r}: give first hex digits of image ids, as f, 0f, e,f or 0-3")
    return frozenset(chosen)


def read_masks(path: Path, mids: Collection[str] | None, partitions: Collection[str] | None = None) -> ByPhoto[MaskRow]:
    """Rows of a mask list with one of the classes `mids`, ordered by image, box and path; repeated ones too.

    Raises:
        DataError: no such file or column.
    """
    frame, broken = scan(path, _MASK, mids, partitions)
    return ByPhoto(
        frame.sort("ImageID", "BoxID", "MaskPath", *_MASK.numbers),
        lambda r: MaskRow(r[0], r[1], r[2], r[3], (r[4], r[5], r[6], r[7])),
        broken,
    )


def read_boxes(path: Path, mids: Collection[str] | None, partitions: Collection[str] | None = None) -> ByPhoto[BoxRow]:
    """Rows of a box list with one of the classes `mids`, ordered by image, class and place.

    Raises:
        DataError: no such file or column.
    """
    frame, broken = scan(path, _BOX, mids, partitions)
    return ByPhoto(
        frame.sort("ImageID", "LabelName", *_BOX.numbers, *FLAGS),
        lambda r: BoxRow(r[0], r[1], (r[2], r[3], r[4], r[5]), (r[6], r[7], r[8], r[9], r[10])),
        broken,
    )


def read_credits(path: Path, image_ids: Collection[str]) -> dict[str, PhotoCredit]:
    """Author, licence, page and rotation of the photos `image_ids`; one that is not listed is not in the answer.

    Raises:
        DataError: no such column, or no table.
    """
    text = ["Author", "License", "OriginalLandingURL", "OriginalURL"]
    try:
        table = pl.scan_csv(path, infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=True)
        names = table.collect_schema().names()
        missing = [c for c in ["ImageID", *text] if c not in names]
        if missing:
            raise DataError(f"{path}: row 1: no column {', '.join(missing)}; is this the right table?")
        rotation = pl.col("Rotation") if "Rotation" in names else pl.lit("").alias("Rotation")
        wanted = table.filter(pl.col("ImageID").is_in(sorted(image_ids))).select("ImageID", *text, rotation)
        rows = wanted.collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: not a table that can be read ({str(error).splitlines()[0]})") from error
    return {
        image_id: PhotoCredit(author or "", terms or "", landing or url or "", _degrees(turn))
        for image_id, author, terms, landing, url, turn in rows.iter_rows()
    }


def _degrees(text: str | None) -> int | None:
    """`90.0` as 90; None for an empty cell or anything else."""
    return {"0": 0, "90": 90, "180": 180, "270": 270}.get((text or "").strip().removesuffix(".0"))
