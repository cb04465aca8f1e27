"""The options and the summary of an export."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from clothseg.errors import DataError

ExportFormat = Literal["coco", "yolo", "label-maps"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
LOSSES = {
    "crowds_left_out": "regions with iscrowd 1 are left out: YOLO has none",
    "boxes_left_out": "objects with a box and no mask are left out: beside them, polygons would count as boxes",
    "boxes_as_void": "objects with a box and no mask are void (255) where no object is",
    "crowds_as_void": "regions with iscrowd 1 are void (255) where no object is",
    "holes_as_cuts": "objects with holes: the outline goes into the hole and back, tools may draw this way as a line",
    "parts_as_bridges": "objects of several parts: a line without width joins them, tools may draw it",
    "moved_outlines": "objects whose polygons do not draw exactly the same mask",
    "hidden_objects": "objects that others cover completely; they are left out",
    "covered_objects": "objects of which others cover a part",
    "covered_pixels": "pixels that belong to several objects; the object that comes last in the file has them",
    "empty_objects": "objects without a pixel; they are left out",
    "missing_photos": "photos that do not exist; they are left out",
    "unreadable_photos": "photos that cannot be read, or have another size than their annotations; they are left out",
}
"""What a format cannot hold, by name."""
FAULTS = frozenset({"missing_photos", "unreadable_photos"})
"""Losses that are faults of the dataset, not of the format."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """The options of `export_dataset`.

    Attributes:
        format: `coco`, `yolo` or `label-maps`.
        rle: for COCO: RLE instead of polygons. It is exact and small, but not every tool can edit it.
        tolerance: by how many pixels the outlines of polygons may move, to have fewer points; 0 to 100. With 0,
            polygons draw exactly the same masks.
        hard_links: link photos instead of copying them, where the file system can.
        overwrite: replace what is at the output folder.

    Raises:
        DataError: an option is invalid.
    """

    format: ExportFormat = "coco"
    rle: bool = False
    tolerance: float = 0.0
    hard_links: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise DataError(f"unknown format {self.format!r}; use {', '.join(FORMATS)}")
        if not 0 <= self.tolerance <= 100:
            raise DataError(f"the tolerance is {self.tolerance}; use 0 to 100 pixels")
        if self.rle and self.format != "coco":
            raise DataError(f"RLE is a form of COCO, but the format is {self.format}; leave out --rle")


@dataclass(frozen=True)
class ExportSummary:
    """What `export_dataset` wrote.

    Attributes:
        folder: with the files.
        format: of the files.
        photos, objects: numbers by split.
        losses: the number of each loss; see `LOSSES`.
        failed: what could not be read, one line each.
    """

    folder: Path
    format: str
    photos: Mapping[str, int]
    objects: Mapping[str, int]
    losses: Mapping[str, int]
    failed: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return asdict(self) | {"folder": str(self.folder)}
