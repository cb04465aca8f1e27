"""What came of a conversion: for the eye, for a program, and for `dataset.yaml`."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from clothseg.openimages.tables import Box

# Reasons that say something about the annotations and not about the files: the data set is complete all the same.
HARMLESS = frozenset({"empty_mask", "duplicate_row"})
REASONS = {
    "missing_photo": "the photo is not there",
    "unreadable_photo": "the photo cannot be read",
    "missing_mask": "the mask is not there",
    "unreadable_mask": "the mask cannot be read",
    "empty_mask": "the mask is empty on the photo's grid",
    "duplicate_row": "the row stands in the list twice",
}


@dataclass(frozen=True)
class Dropped:
    """A mask row that did not become an annotation. Without `box_id` and `class_name`: a photo that had no such row."""

    split: str
    reason: str
    image_id: str
    box_id: str
    class_name: str
    detail: str


@dataclass(frozen=True)
class UnmaskedBox:
    """A box of a chosen class without a mask, on a photo that is there. `box` is x1 y1 x2 y2 in 0..1.

    `kept` tells whether the photo is in the data set; without any mask of a chosen class it is not.
    """

    split: str
    image_id: str
    class_name: str
    box: Box
    is_group: bool
    kept: bool


@dataclass(frozen=True)
class SplitCounts:
    """How much one split holds. Both mappings are by class name, in the user's order."""

    photos: int
    negatives: int
    masks: int
    class_photos: Mapping[str, int]
    class_masks: Mapping[str, int]


@dataclass(frozen=True)
class BuildSummary:
    """What `build_dataset` wrote, left out, and could not do.

    Attributes:
        folder: the data set.
        classes: names in the order of their category ids, from 1.
        train, val: what the splits hold.
        dropped: every mask row of a chosen class that did not become an annotation.
        unmasked: every box of a chosen class without mask, on photos that are there.
    """

    folder: Path
    classes: tuple[str, ...]
    train: SplitCounts
    val: SplitCounts
    dropped: tuple[Dropped, ...]
    unmasked: tuple[UnmaskedBox, ...]

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
        return {
            "folder": str(self.folder),
            "classes": list(self.classes),
            "train": asdict(self.train),
            "val": asdict(self.val),
            "dropped": [asdict(d) for d in self.dropped],
            "unmasked_boxes": [asdict(b) for b in self.unmasked],
        }


def record(summary: BuildSummary, sources: Mapping[str, Any], classes: Any, options: Mapping[str, Any]) -> str:
    """The text of `dataset.yaml`."""
    dropped = {
        reason: [
            {"split": d.split, "photo": d.image_id, "box": d.box_id, "class": d.class_name, "detail": d.detail}
            for d in summary.dropped
            if d.reason == reason
        ]
        for reason in summary.reasons()
    }
    unmasked: dict[str, Any] = {
        split: {n: sum(b.class_name == n and b.split == split for b in summary.unmasked) for n in summary.classes}
        for split in ("train", "val")
    }
    unmasked["note"] = (
        "Boxes of chosen classes without a mask, x1 y1 x2 y2 in 0..1. This version leaves them out: they are not "
        "among the annotations, not even to be ignored; a photo with no other box is not in the data set (kept: false)."
    )
    unmasked["boxes"] = [
        {"split": b.split, "photo": b.image_id, "class": b.class_name}
        | dict(zip(("x1", "y1", "x2", "y2"), b.box, strict=True))
        | {"group": b.is_group, "kept": b.kept}
        for b in summary.unmasked
    ]
    document = {
        "format": "clothseg data set 1",
        "sources": dict(sources),
        "classes": classes,
        "options": dict(options),
        "counts": {"train": asdict(summary.train), "val": asdict(summary.val)},
        "dropped": dropped,
        "unmasked_boxes": unmasked,
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
