"""The photos and masks that some classes need, from a mask list, and photos without any of them."""

import csv
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import polars as pl

from clothseg.errors import DataError
from clothseg.openimages.build.plan import first_empty
from clothseg.openimages.download.remote_zip import is_unsafe
from clothseg.openimages.tables import read_masks

_MASK_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]*\.png")


@dataclass(frozen=True)
class SplitRequest:
    """What is needed of one split.

    Attributes:
        split: of Open Images.
        photos: image ids, sorted.
        masks: file names by partition, which is the first digit of the name; each list is sorted.
        rows: number of mask rows on these photos, by class id.
        broken: messages about rows that name no photo or mask, with file and row.
    """

    split: str
    photos: list[str]
    masks: dict[str, list[str]]
    rows: dict[str, int]
    broken: list[str]


def read_split_request(
    path: Path,
    split: str,
    mids: Collection[str],
    partitions: Collection[str] | None,
    limit: int | None,
    empty: Collection[str] = (),
) -> SplitRequest:
    """Reads the mask list at `path`.

    Args:
        path: `*-annotations-object-segmentation.csv`.
        split: the split of this list.
        mids: ids of the classes.
        partitions: first digits of the image ids; None for all.
        limit: the maximum number of photos, the first by id; None for all.
        empty: ids of photos that show none of the classes; as many are requested as a build takes.

    Raises:
        DataError: there is no such file or column, or too many rows are broken.
    """
    rows = read_masks(path, mids, partitions)
    broken = [str(row) for row in rows.broken]
    photos = sorted({*rows.photos, *first_empty(empty, rows.photos)})[:limit]
    frame = rows.frame if limit is None else rows.frame.filter(pl.col("ImageID").is_in(photos))
    masks: dict[str, set[str]] = {}
    for image_id, mask_path in frame.select("ImageID", "MaskPath").iter_rows():
        # The same rule as in a build: folders are ignored, and the first digit names the archive.
        name = PurePosixPath(mask_path).name
        if _MASK_NAME.fullmatch(name) and not is_unsafe(mask_path):
            masks.setdefault(name[0], set()).add(name)
        else:
            broken.append(f"{path.name}: photo {image_id}: MaskPath is {mask_path!r}, but should be the name of a PNG")
    counts = dict(frame.group_by("LabelName").len().iter_rows())
    return SplitRequest(split, photos, {p: sorted(names) for p, names in sorted(masks.items())}, counts, broken)


def check_table(path: Path, first_column: str) -> None:
    """Checks that a large file is the expected table, and that its last row is complete.

    Raises:
        DataError: it does not begin with `first_column`, or its last row is short and has no line end.
    """
    with path.open("rb") as stream:
        header = stream.readline(1 << 16).decode("utf-8-sig", errors="replace").strip()
        if header.split(",")[0].strip('"') != first_column:
            raise DataError(f"{path}: begins with {header[:60]!r}, not with {first_column}")
        size = stream.seek(0, 2)
        stream.seek(max(size - (1 << 20), 0))
        end = stream.read()
    if end.endswith(b"\n"):
        return
    last = end.rpartition(b"\n")[2].decode("utf-8", errors="replace")
    width, cells = len(header.split(",")), len(next(csv.reader([last]), []))
    if cells < width:
        raise DataError(f"{path}: ends in the middle of a row, after {cells} of {width} cells; fetch the table again")
