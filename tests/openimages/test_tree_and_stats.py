"""Classes and numbers from the tables alone; the csv module and json are the referees."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from clothseg import sample
from clothseg.cli.app import app
from clothseg.errors import DataError
from clothseg.openimages import class_trees, count_classes, tree_lines

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "ccp-openimages"
SOURCES = [sample.folder(), *([SHARED] if SHARED.is_dir() else [])]
A, B = "1" * 16, "12345678e9012345"
SUIT, DRESS = "/m/01xyhv", "/m/01d40f"
runner = CliRunner()


def walk(tree: Any) -> list[Any]:
    return [tree, *(low for below in tree.below for low in walk(below))]


def test_every_place_of_the_published_tree_is_there() -> None:
    (tree,) = class_trees(sample.folder(), [])
    nodes = walk(tree)

    def relations(node: Any) -> set[tuple[str, str, bool]]:
        found = set()
        for key in ("Subcategory", "Part"):
            for low in node.get(key, []):
                found |= {(node["LabelName"], low["LabelName"], key == "Part")} | relations(low)
        return found

    published = json.loads((sample.folder() / "bbox_labels_600_hierarchy.json").read_text())
    ours = {(node.mid, low.mid, low.part) for node in nodes for low in node.below}
    assert ours == relations(published)
    assert len({node.mid for node in nodes}) == 602
    listed = {line.strip() for line in (sample.folder() / "classes-segmentation.txt").read_text().splitlines()}
    assert {node.mid for node in nodes if node.masks} == listed


def test_the_tree_as_text_names_masks_parts_and_other_parents() -> None:
    clothing, person = class_trees(sample.folder(), ["clothing", "/m/01g317"])
    text = "\n".join(tree_lines(clothing))
    assert text.startswith("Clothing *")
    assert "Hat *  /m/02dl1y (also below Fashion accessory)" in text
    assert "Footwear  /m/09j5n" in text
    assert "(part)" in "\n".join(tree_lines(person))
    assert "Coat" in text
    assert "Coat" not in "\n".join(tree_lines(clothing, masks_only=True))
    with pytest.raises(DataError, match="near it: Clothing"):
        class_trees(sample.folder(), ["Cloting"])


def test_spoilt_class_files(tmp_path: Path) -> None:
    for name in ("class-descriptions-boxable.csv", "classes-segmentation.txt"):
        (tmp_path / name).write_bytes((sample.folder() / name).read_bytes())
    with pytest.raises(DataError, match="hierarchy"):
        class_trees(tmp_path, [])
    for text, told in (
        ("{", "JSON"),
        ('{"Subcategory": []}', "LabelName"),
        ('{"LabelName": "/m/a", "Part": [3]}', "3"),
    ):
        (tmp_path / "bbox_labels_600_hierarchy.json").write_text(text)
        with pytest.raises(DataError, match=told):
            class_trees(tmp_path, [])
    circle = '{"LabelName": "/m/0bl9f", "Part": [{"LabelName": "/m/01xyhv", "Part": [{"LabelName": "/m/0bl9f"}]}]}'
    (tmp_path / "bbox_labels_600_hierarchy.json").write_text(circle)
    (tree,) = class_trees(tmp_path, [])
    assert [node.mid for node in walk(tree)] == ["/m/0bl9f", "/m/01xyhv"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("digits", [None, "f", "07"])
def test_counts_agree_with_the_csv_module(source: Path, digits: str | None) -> None:
    stats = count_classes(source, "train", digits, None if digits is None else frozenset(digits))

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
    stats = count_classes(good.write(), "train", None, None)
    suit = next(c for c in stats.classes if c.mid == SUIT)
    assert (suit.masks, suit.boxes, suit.boxes_without_mask, suit.groups, suit.mask_photos) == (2, 4, 2, 1, 1)
    # The boxes of the masks begin at 0.13 and 0.15 and end at 0.5, and are half as high as the photo.
    assert suit.size_50 == pytest.approx(((0.37 * 0.5) ** 0.5 + (0.35 * 0.5) ** 0.5) / 2, abs=1e-3)
    assert [b.row for b in stats.broken] == [6]


def test_statistics_need_neither_photos_nor_masks(tmp_path: Path) -> None:
    for path in sample.folder().glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    chart = tmp_path / "out" / "bars.png"
    words = ["dataset", "stats", str(tmp_path), "--out", str(chart), "--json", "--min-instances", "36"]
    result = runner.invoke(app, words)
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert {c["name"] for c in told["classes"] if c["chosen"]} == {"Suit", "Dress", "Jeans"}
    assert {c["name"] for c in told["classes"] if c["enough"]} >= {"Suit", "Dress", "Jeans"}
    with Image.open(chart) as picture:
        assert picture.width > 800
    shown = runner.invoke(app, ["dataset", "stats", str(tmp_path), "--partitions", "0-7"])
    assert shown.exit_code == 0
    assert "Jeans" in shown.stdout


def test_classes_on_the_command_line(tmp_path: Path) -> None:
    result = runner.invoke(
        app, ["dataset", "classes", "sample", "Clothing", "--out", str(tmp_path / "t.png"), "--json"]
    )
    assert result.exit_code == 0
    (tree,) = json.loads(result.stdout)
    assert tree["name"] == "Clothing"
    with Image.open(tmp_path / "t.png") as picture:
        assert picture.height > 500
    shown = runner.invoke(app, ["dataset", "classes", "sample"])
    assert all(word in shown.stdout for word in ("Person", "Vehicle", "Clothing", "* can have masks"))
