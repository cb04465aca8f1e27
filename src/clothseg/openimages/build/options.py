"""What a user can choose about a build."""

from dataclasses import dataclass
from typing import Literal, get_args

from clothseg.errors import DataError
from clothseg.openimages.tables import parse_partitions

BoxRule = Literal["crowd", "ignore", "drop"]


@dataclass(frozen=True)
class BuildOptions:
    """The options of `build_dataset`. They are recorded in `dataset.yaml`.

    Attributes:
        include_children: a class includes all kinds below it in the class tree.
        partitions: first hex digits of the image ids, as `f`, `0,f` or `0-3`; None for all.
        val_fraction: the part of the train photos for validation, stratified by class. Near-duplicate photos stay on
            one side. None takes the source's own `validation`.
        seed: of the split by fraction.
        keep_empty: also take photos on which no class has even a box. They have no annotations.
        boxes_without_mask: what happens to boxes of the classes without a mask, and to boxes around a group. `crowd`:
            they become regions with `iscrowd` 1. `ignore`: they are left out. `drop`: their photo is left out.
        max_size: the maximum for the longer side of a photo and its masks, in pixels; None keeps the size.
        upright: turn photos and masks together by the `Rotation` of the image list.
        polygons: write polygons instead of RLE. Points move by at most this number of pixels; 0 draws exactly the same
            masks. None writes RLE.
        limit: the maximum number of photos in a split, the first by id; None for all.

    Raises:
        DataError: a value is out of range.
    """

    include_children: bool = False
    partitions: str | None = None
    val_fraction: float | None = None
    seed: int = 0
    keep_empty: bool = False
    boxes_without_mask: BoxRule = "crowd"
    max_size: int | None = None
    upright: bool = False
    polygons: float | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        parse_partitions(self.partitions)
        if self.val_fraction is not None and not 0 < self.val_fraction < 1:
            raise DataError(f"the validation fraction is {self.val_fraction}, but must be above 0 and below 1")
        if self.boxes_without_mask not in get_args(BoxRule):
            raise DataError(
                f"boxes without mask: {self.boxes_without_mask!r}, but must be one of {', '.join(get_args(BoxRule))}"
            )
        if self.max_size is not None and self.max_size < 1:
            raise DataError(f"the maximum size is {self.max_size}, but must be 1 pixel or more")
        if self.polygons is not None and not 0 <= self.polygons <= 100:
            raise DataError(f"the tolerance of polygons is {self.polygons}, but must be 0 to 100 pixels")
        if self.limit is not None and self.limit < 1:
            raise DataError(f"limit is {self.limit}, but must be 1 or more")
