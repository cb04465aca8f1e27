"""The result of a build: for people, for programs, and for `dataset.yaml`."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from clothseg.instances import CocoCategory
from clothseg.openimages.tables import FLAGS, Box, Flags

# Reasons about annotations and not about files: the dataset is complete in spite of them.
HARMLESS = frozenset({"empty_mask", "duplicate_row", "box_without_mask", "group"})
REASONS = {
    "broken_row": "the row does not have the format of its table",
    "missing_photo": "the photo does not exist",
    "unreadable_photo": "the photo cannot be read",
    "missing_mask": "the mask does not exist",
    "unreadable_mask": "the mask cannot be read",
    "other_shape": "the shape of the mask does not fit the photo",
    "empty_mask": "the mask has no pixel on the photo's grid",
    "duplicate_row": "the row occurs twice in the list",
    "box_without_mask": "its photo is left out, because a box on it has no mask or is around a group",
    "group": "its box is around a group",
}
BOXES_WITHOUT_MASK = "boxes-without-mask.csv"
# `dataset.yaml` lists this many rows of each reason, and counts all of them.
_LISTED = 1000


@dataclass(frozen=True)
class Dropped:
    """A row without an annotation. If `box_id` and `class_name` are empty, it is a photo without a mask row.

    Of a broken row, `detail` has everything that is known.
    """

    split: str
    reason: str
    image_id: str
    box_id: str
    class_name: str
    detail: str


@dataclass(frozen=True, slots=True)
class BoxWithoutMask:
    """A box of a selected class without a mask, on a photo that exists.

    Attributes:
        split, image_id, class_name: of the photo and the box.
        box: x1 y1 x2 y2 in 0..1.
        flags: those of `tables.FLAGS`.
        kept: whether the photo is in the dataset. A photo without any mask of a selected class is not.
    """

    split: str
    image_id: str
    class_name: str
    box: Box
    flags: Flags
    kept: bool

    @property
    def is_group(self) -> bool:
        """Whether it is around a group."""
        return self.flags[FLAGS.index("IsGroupOf")] == 1


@dataclass(frozen=True)
class SplitCounts:
    """The content of one split. The mappings are by class name, in the user's order.

    `negatives` are photos without an object; `regions` are annotations with `iscrowd` 1; `boxes` are objects with a box
    and no mask.
    """

    photos: int
    negatives: int
    masks: int
    regions: int
    boxes: int
    class_photos: Mapping[str, int]
    class_masks: Mapping[str, int]
    class_regions: Mapping[str, int]
    class_boxes: Mapping[str, int]


@dataclass(frozen=True)
class PolygonCounts:
    """The number of masks that became polygons, and the lowest and mean IoU of polygons and masks."""

    masks: int
    worst_iou: float
    mean_iou: float


@dataclass(frozen=True)
class Speed:
    """The duration of a conversion. The finished work of an earlier, interrupted build is not in it.

    Attributes:
        work: seconds of all workers by kind of work, and under `masks` the number of mask rows.
        seconds: of the whole conversion.
        workers: number of processes.
    """

    work: Mapping[str, float]
    seconds: float
    workers: int

    @property
    def masks(self) -> int:
        """The number of converted mask rows."""
        return int(self.work.get("masks", 0))

    @property
    def masks_per_second_and_core(self) -> float:
        """Masks that one core converts in a second, with their photos."""
        busy = sum(s for kind, s in self.work.items() if kind != "masks")
        return self.masks / busy if busy else 0.0

    def shares(self) -> dict[str, float]:
        """The share of each kind of work in 0..1, the largest first."""
        kinds = {kind: s for kind, s in self.work.items() if kind != "masks"}
        busy = sum(kinds.values())
        return {kind: s / busy for kind, s in sorted(kinds.items(), key=lambda item: -item[1])} if busy else {}


@dataclass(frozen=True)
class BuildSummary:
    """What `build_dataset` wrote, and what it left out.

    Attributes:
        folder: of the dataset.
        classes: names in the order of their category ids, from 1.
        included: the kinds that each class includes.
        train, val: content of the splits.
        test: the same of the test split; None if it was not asked for.
        dropped: every row of a selected class without an annotation, and every broken row.
        boxes_without_mask: every box of a selected class without a mask, on photos that exist.
        unnamed_masks: masks of the selected classes in the zips without a row, and members with an unsafe path.
        masks_without_box: number of masks without a row in the box list; their flags are -1, unknown.
        near_duplicates: pairs of photos that the split by fraction kept on one side; as many as connect such photos.
        changed: how many photos were turned and resized.
        polygons: how well polygons draw the masks; None without polygons.
        speed: duration.
    """

    folder: Path
    classes: tuple[str, ...]
    included: Mapping[str, tuple[str, ...]]
    train: SplitCounts
    val: SplitCounts
    test: SplitCounts | None
    dropped: tuple[Dropped, ...]
    boxes_without_mask: tuple[BoxWithoutMask, ...]
    unnamed_masks: tuple[str, ...]
    masks_without_box: int
    near_duplicates: tuple[tuple[str, str], ...]
    changed: Mapping[str, int]
    polygons: PolygonCounts | None
    speed: Speed

    @property
    def failed(self) -> tuple[Dropped, ...]:
        """The rows that were dropped because a photo, mask or row is missing or broken."""
        return tuple(d for d in self.dropped if d.reason not in HARMLESS)

    @property
    def splits(self) -> dict[str, SplitCounts]:
        """The content of each split that the dataset has, by its name."""
        return {"train": self.train, "val": self.val} | ({"test": self.test} if self.test else {})

    def rows(self) -> list[tuple[object, ...]]:
        """One row for each class, and one for all of them.

        Columns: name, photos and masks of each of `splits`, dropped rows, boxes without a mask.
        """
        dropped = Counter(d.class_name for d in self.dropped if d.class_name)
        boxes = Counter(b.class_name for b in self.boxes_without_mask)
        splits = self.splits.values()
        table = [
            (
                name,
                *(number for of in splits for number in (of.class_photos[name], of.class_masks[name])),
                dropped[name],
                boxes[name],
            )
            for name in self.classes
        ]
        totals = (number for of in splits for number in (of.photos, of.masks))
        all_row = ("all", *totals, dropped.total(), boxes.total())
        return [*table, all_row]

    def reasons(self) -> dict[str, int]:
        """The number of dropped rows by reason."""
        counts = Counter(d.reason for d in self.dropped)
        return {reason: counts[reason] for reason in REASONS if counts[reason]}

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        speed = {
            "seconds": round(self.speed.seconds, 2),
            "workers": self.speed.workers,
            "masks": self.speed.masks,
            "masks_per_second_and_core": round(self.speed.masks_per_second_and_core, 1),
            "shares": {kind: round(share, 3) for kind, share in self.speed.shares().items()},
        }
        return asdict(self) | {"folder": str(self.folder), "reasons": self.reasons(), "speed": speed}


def describe(
    summary: BuildSummary, sources: Mapping[str, Any], classes: Sequence[CocoCategory], options: Mapping[str, Any]
) -> str:
    """The text of `dataset.yaml`."""
    reasons = summary.reasons()
    of_reason: dict[str, list[Dropped]] = {reason: [] for reason in reasons}
    for row in summary.dropped:
        of_reason[row.reason].append(row)
    boxes: dict[str, Any] = {split: dict.fromkeys(summary.classes, 0) for split in summary.splits}
    for box in summary.boxes_without_mask:
        boxes[box.split][box.class_name] += 1
    boxes["on_photos_of_the_data_set"] = sum(box.kept for box in summary.boxes_without_mask)
    boxes["note"] = (
        f"Boxes of the classes without a mask; {BOXES_WITHOUT_MASK} lists them. With boxes_without_mask: crowd, those "
        "on photos of the dataset are annotations with iscrowd 1, and photos with only such boxes are not in the "
        "dataset. With learn: they are objects without a segmentation, except for groups, and their photos are taken."
    )
    document = {
        "format": "clothseg data set 1",
        "sources": dict(sources),
        "classes": [
            {**c, "includes": list(summary.included[c["name"]])} if summary.included[c["name"]] else dict(c)
            for c in classes
        ],
        "options": dict(options),
        "counts": {split: asdict(counts) for split, counts in summary.splits.items()},
        "photos_changed": dict(summary.changed),
        "masks_without_box": summary.masks_without_box,
        "polygons": asdict(summary.polygons) if summary.polygons else None,
        "dropped_counts": reasons,
        "dropped": {
            reason: [
                {"split": d.split, "photo": d.image_id, "box": d.box_id, "class": d.class_name, "detail": d.detail}
                for d in rows[:_LISTED]
            ]
            for reason, rows in of_reason.items()
        },
        "dropped_note": f"The first {_LISTED} rows of each reason are listed.",
        "unnamed_masks": {"count": len(summary.unnamed_masks), "files": list(summary.unnamed_masks[:_LISTED])},
        "boxes_without_mask": boxes,
        "near_duplicates": [list(pair) for pair in summary.near_duplicates[:_LISTED]],
    }
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Quotes ids such as `1234e567`, which a reader of another YAML version could read as numbers."""

    def ignore_aliases(self, data: Any) -> bool:
        """Writes every value in full, without anchors."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "'" if re.fullmatch("[0-9][0-9a-f.]*", value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
