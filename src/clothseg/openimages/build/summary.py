"""What came of a conversion: for the eye, for a program, and for `dataset.yaml`."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from clothseg.openimages.tables import FLAGS, Box, Flags

# Reasons that say something about the annotations and not about the files: the data set is complete all the same.
HARMLESS = frozenset({"empty_mask", "duplicate_row", "unmasked_box", "group"})
REASONS = {
    "broken_row": "the row breaks the format of its table",
    "missing_photo": "the photo is not there",
    "unreadable_photo": "the photo cannot be read",
    "missing_mask": "the mask is not there",
    "unreadable_mask": "the mask cannot be read",
    "other_shape": "the mask cannot have been drawn on this photo",
    "empty_mask": "the mask is empty on the photo's grid",
    "duplicate_row": "the row stands in the list twice",
    "unmasked_box": "its photo was left out, because a box on it has no mask or stands for a group",
    "group": "it stands for a group",
}
# A file for people: of each reason so many rows, and the number of all.
_LISTED = 1000


@dataclass(frozen=True)
class Dropped:
    """A row that did not become an annotation. Without `box_id` and `class_name`: a photo without such a row.

    Where the row itself is broken, all that is known of it is in `detail`.
    """

    split: str
    reason: str
    image_id: str
    box_id: str
    class_name: str
    detail: str


@dataclass(frozen=True, slots=True)
class UnmaskedBox:
    """A box of a chosen class without a mask, on a photo that is there. `box` is x1 y1 x2 y2 in 0..1.

    `flags` are those of `tables.FLAGS`. `kept` tells whether the photo is in the data set; without any mask of a chosen
    class it is not.
    """

    split: str
    image_id: str
    class_name: str
    box: Box
    flags: Flags
    kept: bool

    @property
    def is_group(self) -> bool:
        """Whether it stands for a group."""
        return self.flags[FLAGS.index("IsGroupOf")] == 1


@dataclass(frozen=True)
class SplitCounts:
    """How much one split holds. The mappings are by class name, in the user's order. `regions` have `iscrowd` 1."""

    photos: int
    negatives: int
    masks: int
    regions: int
    class_photos: Mapping[str, int]
    class_masks: Mapping[str, int]
    class_regions: Mapping[str, int]


@dataclass(frozen=True)
class PolygonCounts:
    """How many masks became polygons, and how well these draw them: intersection over union, worst and mean."""

    masks: int
    worst_iou: float
    mean_iou: float


@dataclass(frozen=True)
class Speed:
    """Where the time went. `work` has the seconds of all workers by kind, and `masks`, the number of mask rows.

    What an earlier, interrupted build had done is not in it.
    """

    work: Mapping[str, float]
    seconds: float
    workers: int

    @property
    def masks(self) -> int:
        """Mask rows that were converted."""
        return int(self.work.get("masks", 0))

    @property
    def masks_per_second_and_core(self) -> float:
        """Masks that one core converts in a second of work, photos included."""
        busy = sum(s for kind, s in self.work.items() if kind != "masks")
        return self.masks / busy if busy else 0.0

    def shares(self) -> dict[str, float]:
        """Part of the work by kind, the largest first."""
        kinds = {kind: s for kind, s in self.work.items() if kind != "masks"}
        busy = sum(kinds.values())
        return {kind: s / busy for kind, s in sorted(kinds.items(), key=lambda item: -item[1])} if busy else {}


@dataclass(frozen=True)
class BuildSummary:
    """What `build_dataset` wrote, left out, and could not do.

    Attributes:
        folder: the data set.
        classes: names in the order of their category ids, from 1.
        included: by class, the kinds that it took in.
        train, val: what the splits hold.
        dropped: every row of a chosen class that did not become an annotation, and every broken row.
        unmasked: every box of a chosen class without mask, on photos that are there.
        unnamed: masks of the chosen classes in the zips that no row names, and members whose path is not trusted.
        boxless: masks that no row of the box list stands for; their flags are -1, unknown.
        near_duplicates: pairs of photos that the split by fraction kept together.
        changed: how many photos were turned and resized.
        polygons: how well polygons draw the masks; None without polygons.
        speed: where the time went.
    """

    folder: Path
    classes: tuple[str, ...]
    included: Mapping[str, tuple[str, ...]]
    train: SplitCounts
    val: SplitCounts
    dropped: tuple[Dropped, ...]
    unmasked: tuple[UnmaskedBox, ...]
    unnamed: tuple[str, ...]
    boxless: int
    near_duplicates: tuple[tuple[str, str], ...]
    changed: Mapping[str, int]
    polygons: PolygonCounts | None
    speed: Speed

    @property
    def failed(self) -> tuple[Dropped, ...]:
        """What was dropped because a photo or mask is missing or cannot be read."""
        return tuple(d for d in self.dropped if d.reason not in HARMLESS)

    def rows(self) -> list[tuple[str, int, int, int, int, int, int]]:
        """A row a class, one for all: name, photos and masks of train, then of val, dropped rows, unmasked boxes."""
        dropped = Counter(d.class_name for d in self.dropped if d.class_name)
        unmasked = Counter(b.class_name for b in self.unmasked)
        table = [
            (
                name,
                self.train.class_photos[name],
                self.train.class_masks[name],
                self.val.class_photos[name],
                self.val.class_masks[name],
                dropped[name],
                unmasked[name],
            )
            for name in self.classes
        ]
        train, val = self.train, self.val
        all_row = ("all", train.photos, train.masks, val.photos, val.masks, dropped.total(), unmasked.total())
        return [*table, all_row]

    def reasons(self) -> dict[str, int]:
        """How many rows were dropped, by reason."""
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


def record(summary: BuildSummary, sources: Mapping[str, Any], classes: Any, options: Mapping[str, Any]) -> str:
    """The text of `dataset.yaml`."""
    reasons = summary.reasons()
    of_reason: dict[str, list[Dropped]] = {reason: [] for reason in reasons}
    for lost in summary.dropped:
        of_reason[lost.reason].append(lost)
    unmasked: dict[str, Any] = {split: dict.fromkeys(summary.classes, 0) for split in ("train", "val")}
    for box in summary.unmasked:
        unmasked[box.split][box.class_name] += 1
    unmasked["on_photos_of_the_data_set"] = sum(box.kept for box in summary.unmasked)
    unmasked["note"] = (
        "Boxes of the chosen classes without a mask; unmasked-boxes.csv lists them. With boxes_without_mask: crowd, "
        "boxes on photos of the dataset are annotations with iscrowd 1. A photo without any mask of the chosen classes "
        "is not in the dataset."
    )
    document = {
        "format": "clothseg data set 1",
        "sources": dict(sources),
        "classes": [
            {**row, "includes": list(summary.included[row["name"]])} if summary.included[row["name"]] else row
            for row in classes
        ],
        "options": dict(options),
        "counts": {"train": asdict(summary.train), "val": asdict(summary.val)},
        "photos_changed": dict(summary.changed),
        "masks_without_box": summary.boxless,
        "polygons": asdict(summary.polygons) if summary.polygons else None,
        "dropped_counts": reasons,
        "dropped": {
            reason: [
                {"split": d.split, "photo": d.image_id, "box": d.box_id, "class": d.class_name, "detail": d.detail}
                for d in rows[:_LISTED]
            ]
            for reason, rows in of_reason.items()
        },
        "dropped_note": f"Of each reason, the first {_LISTED} rows are listed.",
        "unnamed_masks": {"count": len(summary.unnamed), "files": list(summary.unnamed[:_LISTED])},
        "unmasked_boxes": unmasked,
        "near_duplicates": [list(pair) for pair in summary.near_duplicates[:_LISTED]],
    }
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Quotes ids that a reader of another YAML version could take for numbers, such as `1234e567`."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out: an anchor would only puzzle."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "'" if re.fullmatch("[0-9][0-9a-f.]*", value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
