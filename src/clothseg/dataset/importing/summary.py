"""The result of an import: for people, for programs, and for `dataset.yaml`."""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from clothseg.dataset.importing.labels import HARMLESS, REASONS, Dropped, valid_text

_LISTED = 1000
"""`dataset.yaml` lists this many rows of each reason, and counts all of them."""


@dataclass(frozen=True)
class SplitCounts:
    """The content of one split. The mappings are by class name.

    `negatives` are photos without an object, `boxes` are objects with a box and no mask.
    """

    photos: int
    negatives: int
    masks: int
    boxes: int
    class_photos: Mapping[str, int]
    class_masks: Mapping[str, int]
    class_boxes: Mapping[str, int]


@dataclass(frozen=True)
class ImportSummary:
    """What `import_dataset` wrote, and what it left out.

    Attributes:
        folder: of the dataset.
        format: of the source.
        seen: what the source has.
        classes: names in the order of their category ids, from 1.
        splits: the content of `train`, `val` and, if the source has one, `test`.
        dropped: every shape, label file and photo that is left out.
        near_duplicates: pairs of photos that the split by fraction kept on one side; as many as connect such photos.
        turned: number of photos whose masks were turned by the EXIF orientation.
        unlabelled_rule: what the format says about photos without objects.
    """

    folder: Path
    format: str
    seen: str
    classes: tuple[str, ...]
    splits: Mapping[str, SplitCounts]
    dropped: tuple[Dropped, ...]
    near_duplicates: tuple[tuple[str, str], ...]
    turned: int
    unlabelled_rule: str

    @property
    def failed(self) -> tuple[Dropped, ...]:
        """What is left out because a file or shape is missing or broken."""
        return tuple(d for d in self.dropped if d.reason not in HARMLESS)

    def reasons(self) -> dict[str, int]:
        """The number of things left out by reason."""
        counts = Counter(d.reason for d in self.dropped)
        return {reason: counts[reason] for reason in REASONS if counts[reason]}

    def rows(self) -> list[tuple[str, ...]]:
        """One row for each class and one for all: name, then photos and objects of each split, with masks or boxes."""
        table = []
        for name in self.classes:
            cells = [
                (str(s.class_photos[name]), str(s.class_masks[name] + s.class_boxes[name]))
                for s in self.splits.values()
            ]
            table.append((name, *(cell for pair in cells for cell in pair)))
        cells = [(str(s.photos), str(s.masks + s.boxes)) for s in self.splits.values()]
        return [*table, ("all", *(cell for pair in cells for cell in pair))]

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return asdict(self) | {"folder": str(self.folder), "reasons": self.reasons()}


def describe(summary: ImportSummary, source: Path, files: Sequence[Path], options: Mapping[str, Any]) -> str:
    """The text of `dataset.yaml`. The path of the source on this machine is not recorded."""
    here = f"{source}{os.sep}"
    rows: dict[str, list[Dropped]] = {reason: [] for reason in summary.reasons()}
    for row in summary.dropped:
        rows[row.reason].append(row)
    document = {
        "format": "clothseg data set 1",
        "sources": {
            "name": valid_text(source.resolve().name),
            "format": summary.format,
            "seen": valid_text(summary.seen),
            "files": [{"file": valid_text(path.name), "sha256": _sha256(path)} for path in files],
        },
        "classes": [{"id": n, "name": name} for n, name in enumerate(summary.classes, start=1)],
        "options": {name: dict(v) if isinstance(v, Mapping) else v for name, v in options.items()},
        "counts": {split: asdict(counts) for split, counts in summary.splits.items()},
        "photos_without_objects": summary.unlabelled_rule,
        "masks_turned_by_exif": summary.turned,
        "dropped_counts": summary.reasons(),
        "dropped": {reason: [_row(d, here) for d in found[:_LISTED]] for reason, found in rows.items()},
        "dropped_note": f"The first {_LISTED} rows of each reason are listed.",
        "near_duplicates": [list(pair) for pair in summary.near_duplicates[:_LISTED]],
    }
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


def _row(dropped: Dropped, here: str) -> dict[str, str]:
    detail = dropped.detail.replace(here, "")
    return {"photo": dropped.photo, "shape": dropped.shape, "class": dropped.class_name, "detail": detail}


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Writes every value in full, without anchors."""
        return True


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
