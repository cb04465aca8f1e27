"""The options of a dataset build."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from clothseg.errors import DataError
from clothseg.openimages.partitions import parse_partitions

BoxRule = Literal["crowd", "learn", "ignore", "drop"]
# Options that change how a build runs, and not what it writes.
_RUN_OPTIONS = frozenset({"overwrite", "workers", "chunk_photos", "min_parallel_photos"})


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """The options of `build_dataset`.

    Attributes:
        include_children: include the subclasses of each class in the class tree. Parts are not included.
        partitions: first hex digits of the image ids to use, such as `f`, `0,f` or `0-3`; None: all.
        val_fraction: fraction of the `train` photos for validation, above 0 and below 1. The split is stratified by
            class and keeps near-duplicate photos on one side. None: use the source's `validation` split.
        include_test: also convert the source's `test` split, to `annotations/test.json`. Training does not use it.
        seed: random seed of the split by fraction.
        keep_empty: also include photos that show none of the classes, as photos without annotations: those on which
            people looked for every class and saw none (`*-human-imagelabels-boxable.csv`), the first by image id, at
            most as many as have masks. If the source has no such list, all photos without a box of the classes.
        boxes_without_mask: how to treat boxes of the classes that have no mask, and group boxes (`IsGroupOf`):
            `crowd` writes annotations with `iscrowd` 1, `learn` writes objects with a box and no mask (group boxes stay
            crowds) and takes photos that have only boxes too, `ignore` leaves them out, `drop` leaves out their photos.
        max_size: maximum length of the longer photo side, in pixels. Larger photos and their masks are resized.
            None: no resizing.
        upright: rotate photos, masks and boxes by the `Rotation` column of the image list.
        polygons: write polygons instead of RLE, with this tolerance in pixels, 0 to 100. With 0 the polygons draw
            exactly the same masks. None: RLE.
        limit: maximum number of photos per split: the first available ones by image id. None: no limit.
        overwrite: replace an existing dataset.
        workers: number of worker processes. With more than one, the calling program must be protected by
            `if __name__ == "__main__"`, because `multiprocessing` imports it again.
        chunk_photos: number of photos per chunk. An interrupted build repeats at most one chunk per worker.
        min_parallel_photos: builds with fewer photos than this use one process, because starting workers takes longer.

    Raises:
        DataError: an option is invalid.
    """

    include_children: bool = False
    partitions: str | None = None
    val_fraction: float | None = None
    include_test: bool = False
    seed: int = 0
    keep_empty: bool = False
    boxes_without_mask: BoxRule = "crowd"
    max_size: int | None = None
    upright: bool = False
    polygons: float | None = None
    limit: int | None = None
    overwrite: bool = False
    workers: int = 1
    chunk_photos: int = 64
    min_parallel_photos: int = 1500

    def __post_init__(self) -> None:
        parse_partitions(self.partitions)
        if self.boxes_without_mask not in get_args(BoxRule):
            raise DataError(f"boxes_without_mask is {self.boxes_without_mask!r}; use {', '.join(get_args(BoxRule))}")
        for name in ("limit", "max_size", "workers", "chunk_photos", "min_parallel_photos"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise DataError(f"{name} is {value}; use 1 or more")
        if self.polygons is not None and not 0 <= self.polygons <= 100:
            raise DataError(f"the polygon tolerance is {self.polygons}; use 0 to 100 pixels")
        if self.val_fraction is not None and not 0 < self.val_fraction < 1:
            raise DataError(f"the validation fraction is {self.val_fraction}; use a number above 0 and below 1")

    def as_dict(self) -> dict[str, Any]:
        """The options that determine the content of the dataset, for `dataset.yaml`."""
        return {name: value for name, value in asdict(self).items() if name not in _RUN_OPTIONS}
