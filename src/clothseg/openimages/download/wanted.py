"""Which photos and masks a choice of classes needs, out of a mask list."""

import csv
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import polars as pl

from clothseg.errors import DataError
from clothseg.openimages.download.remote_zip import is_unsafe
from clothseg.openimages.tables import read_masks

_MASK_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]*\.png")


@dataclass(frozen=True)
class SplitRequest:
    """What one split is asked for.

    Attributes:
        split: of Open Images.
        photos: ids, in order.
        masks: file names by partition, the first digit of the name; each in order.
        rows: mask rows of the chosen classes on these photos, by class id.
        broken: rows that name no photo or mask, as messages with file and row.
    """

    split: str
    photos: list[str]
    masks: dict[str, list[str]]
    rows: dict[str, int]
    broken: list[str]


def read_split_request(
    path: Path, split: str, mids: Collection[str], partitions: Collection[str] | None, limit: int | None
) -> SplitRequest:
    """Go through the mask list at `path`.

    Args:
        path: `*-annotations-object-segmentation.csv`.
        split: its split.
        mids: ids of the chosen classes.
        partitions: first digits of the photos wanted; all without it.
        limit: at most so many photos, the first by id.

    Raises:
        DataError: no such file or column, or too many broken rows.
    """
    listed = read_masks(path, mids, partitions)
    broken = [str(row) for row in listed.broken]
    photos = list(listed.photos)[:limit]
    found = listed.frame if limit is None else listed.frame.filter(pl.col("ImageID").is_in(photos))
    masks: dict[str, set[str]] = {}
    for image_id, mask_path in found.select("ImageID", "MaskPath").iter_rows():
        # The same rule as when a data set is built: folders do not count, the first digit tells the archive.
        name = PurePosixPath(mask_path).name
        if _MASK_NAME.fullmatch(name) and not is_unsafe(mask_path):
            masks.setdefault(name[0], set()).add(name)
        else:
            broken.append(f"{path.name}: photo {image_id}: MaskPath is {mask_path!r}, but should be the name of a PNG")
    counts = dict(found.group_by("LabelName").len().iter_rows())
    return SplitRequest(split, photos, {p: sorted(names) for p, names in sorted(masks.items())}, counts, broken)


def check_table(path: Path, first_column: str) -> None:
    """See that a large table is one, and that it does not end in the middle of a row, as a body does that was cut.

    Raises:
        DataError: it does not begin with `first_column`, or has a last row that is short and has no line end.
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
        raise DataError(f"{path}: ends in the middle of a row, after {cells} of {width} cells; the table is cut")
