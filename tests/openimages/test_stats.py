"""Counts from the tables alone; the csv module is the referee."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from clothseg import sample
from clothseg.openimages import count_classes

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "ccp-openimages"
SOURCES = [sample.folder(), *([SHARED] if SHARED.is_dir() else [])]
A, B = "1" * 16, "12345678e9012345"
SUIT, DRESS = "/m/01xyhv", "/m/01d40f"


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("digits", [None, "f", "07"])
def test_counts_agree_with_the_csv_module(source: Path, digits: str | None) -> None:
    stats = count_classes(source, "train", digits and ",".join(digits))

    def rows(name: str) -> list[dict[str, str]]:
        with (source / f"train-annotations-{name}.csv").open(newline="") as stream:
            return [r for r in csv.DictReader(stream) if digits is None or r["ImageID"][0] in digits]

    masks, boxes = rows("object-segmentation"), rows("bbox")
    assert {c.mid: c.masks for c in stats.classes if c.masks} == Counter(r["LabelName"] for r in masks)
    assert {c.mid: c.boxes for c in stats.classes if c.boxes} == Counter(r["LabelName"] for r in boxes)
    photos = Counter(label for _, label in {(r["ImageID"], r["LabelName"]) for r in masks})
    assert {c.mid: c.mask_photos for c in stats.classes if c.masks} == photos
    assert stats.mask_photos == len({r["ImageID"] for r in masks})
    # In this source every mask has its box.
    assert all(c.boxes_without_mask == c.boxes - c.masks for c in stats.classes)
    assert [c.masks for c in stats.classes] == sorted((c.masks for c in stats.classes), reverse=True)


def test_boxes_without_mask_groups_sizes_and_broken_rows(good: Any) -> None:
    good.box("train", A, SUIT, 0.3, group=1)
    good.box("train", A, SUIT, 0.1301)
    good.rows["train"].append("short,row")
    stats = count_classes(good.write(), "train")
    suit = next(c for c in stats.classes if c.mid == SUIT)
    assert (suit.masks, suit.boxes, suit.boxes_without_mask, suit.groups, suit.mask_photos) == (2, 4, 2, 1, 1)
    # The boxes of the masks begin at 0.13 and 0.15 and end at 0.5, and are half as high as the photo.
    assert suit.size_50 == pytest.approx(((0.37 * 0.5) ** 0.5 + (0.35 * 0.5) ** 0.5) / 2, abs=1e-3)
    assert [b.row for b in stats.broken] == [6]
