"""Counts of masks, photos and boxes by class, from the tables alone, without photos or masks."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from clothseg.openimages.build.matching import TOLERANCE
from clothseg.openimages.classes import read_classes
from clothseg.openimages.layout import box_list, class_file, mask_list
from clothseg.openimages.partitions import parse_partitions
from clothseg.openimages.scan import BrokenRow
from clothseg.openimages.tables import BoxRow, ByPhoto, MaskRow, read_boxes, read_masks
from clothseg.pictures.bars import bar_chart

_MASK_SIDES = ("BoxXMin", "BoxYMin", "BoxXMax", "BoxYMax")
_BOX_SIDES = ("XMin", "YMin", "XMax", "YMax")
_KEYS = ["ImageID", "LabelName"]


@dataclass(frozen=True)
class ClassStats:
    """The counts of one class in a split.

    Attributes:
        mid, name: of the class.
        masks, mask_photos: number of masks, and of photos with a mask.
        boxes, box_photos: number of boxes, and of photos with a box.
        boxes_without_mask: number of boxes without a mask.
        groups: number of boxes around a group.
        size_10, size_50, size_90: quantiles at 10, 50 and 90 % of the size of objects with masks. The size is the
            square root of the box's share of the photo: 0.5 is half the width by half the height. None without masks.
    """

    mid: str
    name: str
    masks: int
    mask_photos: int
    boxes: int
    box_photos: int
    boxes_without_mask: int
    groups: int
    size_10: float | None
    size_50: float | None
    size_90: float | None


@dataclass(frozen=True)
class Stats:
    """The classes of a split with a mask or a box, and rows with a wrong format.

    Attributes:
        split: of Open Images.
        partitions: as the user gave them; None for all.
        classes: those with most masks first.
        mask_photos, box_photos: number of photos with a mask, and with a box.
        broken: rows that were not counted.
    """

    split: str
    partitions: str | None
    classes: tuple[ClassStats, ...]
    mask_photos: int
    box_photos: int
    broken: tuple[BrokenRow, ...]

    def as_dict(self, min_instances: int, selected: Collection[str]) -> dict[str, Any]:
        """The counts as plain values, for JSON.

        Args:
            min_instances: the number of masks that a class needs.
            selected: ids of the classes to mark.
        """
        rows = [asdict(c) | {"enough": c.masks >= min_instances, "selected": c.mid in selected} for c in self.classes]
        return {
            "split": self.split,
            "partitions": self.partitions,
            "min_instances": min_instances,
            "masks": sum(c.masks for c in self.classes),
            "mask_photos": self.mask_photos,
            "boxes": sum(c.boxes for c in self.classes),
            "box_photos": self.box_photos,
            "broken_rows": [str(row) for row in self.broken],
            "classes": rows,
        }

    def chart(self, min_instances: int, selected: Collection[str], max_classes: int = 40) -> bytes:
        """Draws the masks of the first `max_classes` classes and of the selected ones as bars, in a PNG."""
        shown = [c for place, c in enumerate(self.classes) if c.masks and (place < max_classes or c.mid in selected)]
        where = f"partition {self.partitions}" if self.partitions else "all partitions"
        return bar_chart(
            {c.name: c.masks for c in shown},
            {c.name for c in shown if c.mid in selected},
            title=f"Masks by class: {self.split}, {where}",
            floor=min_instances,
        )


def count_classes(source: Path, split: str, partitions: str | None = None) -> Stats:
    """Counts masks and boxes of every class.

    Args:
        source: a folder with the class names and the lists of masks and boxes. Photos and masks are not needed.
        split: `train`, `validation` or `test`.
        partitions: first hex digits of the image ids, as `f`, `0,f` or `0-3`; None for all.

    Raises:
        DataError: a table is missing or broken.
    """
    digits = parse_partitions(partitions)
    names = {c.mid: c.name for c in read_classes(class_file(source))}
    masks = read_masks(mask_list(source, split), None, digits)
    boxes = read_boxes(box_list(source, split), None, digits)
    columns = _of_masks(masks), _of_boxes(boxes), _boxes_with_mask(masks, boxes)
    table = (
        columns[0]
        .join(columns[1], on="LabelName", how="full", coalesce=True)
        .join(columns[2], on="LabelName", how="left")
    )
    counted = [_row(row, names) for row in table.iter_rows(named=True)]
    return Stats(
        split=split,
        partitions=partitions,
        classes=tuple(sorted(counted, key=lambda c: (-c.masks, -c.boxes, c.name, c.mid))),
        mask_photos=len(masks.photos),
        box_photos=len(boxes.photos),
        broken=(*masks.broken, *boxes.broken),
    )


def _row(row: Mapping[str, Any], names: Mapping[str, str]) -> ClassStats:
    def count(key: str) -> int:
        return int(row[key] or 0)

    def size(key: str) -> float | None:
        return None if row[key] is None else round(row[key], 4)

    mid = row["LabelName"]
    return ClassStats(
        mid=mid,
        name=names.get(mid, mid),
        masks=count("masks"),
        mask_photos=count("mask_photos"),
        boxes=count("boxes"),
        box_photos=count("box_photos"),
        boxes_without_mask=count("boxes") - count("masked_boxes"),
        groups=count("groups"),
        size_10=size("size_10"),
        size_50=size("size_50"),
        size_90=size("size_90"),
    )


def _of_masks(masks: ByPhoto[MaskRow]) -> pl.DataFrame:
    left, top, right, bottom = (pl.col(side) for side in _MASK_SIDES)
    size = ((right - left) * (bottom - top)).clip(0).sqrt()
    return masks.frame.group_by("LabelName").agg(
        masks=pl.len(),
        mask_photos=pl.col("ImageID").n_unique(),
        size_10=size.quantile(0.1, "linear"),
        size_50=size.quantile(0.5, "linear"),
        size_90=size.quantile(0.9, "linear"),
    )


def _of_boxes(boxes: ByPhoto[BoxRow]) -> pl.DataFrame:
    return boxes.frame.group_by("LabelName").agg(
        boxes=pl.len(), box_photos=pl.col("ImageID").n_unique(), groups=(pl.col("IsGroupOf") == 1).sum()
    )


def _boxes_with_mask(masks: ByPhoto[MaskRow], boxes: ByPhoto[BoxRow]) -> pl.DataFrame:
    """The number of boxes with a mask by class, as `match_boxes` finds them, for all photos at once."""
    pairs = (
        masks.frame.lazy()
        .select(*_KEYS, *_MASK_SIDES)
        .with_row_index("mask")
        .join(boxes.frame.lazy().select(*_KEYS, *_BOX_SIDES).with_row_index("box"), on=_KEYS)
    )
    near = pl.all_horizontal(
        (pl.col(a) - pl.col(b)).abs() <= TOLERANCE for a, b in zip(_MASK_SIDES, _BOX_SIDES, strict=True)
    )
    # One mask near two boxes, or two masks near one box, are one pair.
    of_photo = (
        pairs.filter(near)
        .group_by(_KEYS)
        .agg(masked_boxes=pl.min_horizontal(pl.col("mask").n_unique(), pl.col("box").n_unique()))
    )
    return of_photo.group_by("LabelName").agg(pl.col("masked_boxes").sum()).collect(engine="streaming")
