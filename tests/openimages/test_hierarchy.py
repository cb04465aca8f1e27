"""The class tree."""

from pathlib import Path
from typing import Any

import pytest

from clothseg import sample
from clothseg.errors import DataError
from clothseg.openimages import class_trees, read_hierarchy

SUIT, DRESS = "/m/01xyhv", "/m/01d40f"
SUIT, DRESS, SUITCASE = "/m/01xyhv", "/m/01d40f", "/m/01s55n"


def walk(tree: Any) -> list[Any]:
    return [tree, *(low for below in tree.below for low in walk(below))]


def test_the_published_tree() -> None:
    tree = read_hierarchy(sample.folder() / "bbox_labels_600_hierarchy.json")
    assert len(tree.kinds) == 602
    assert {"/m/09j2d", "/m/0463sg"} == set(tree.parents("/m/02dl1y"))  # a Hat is Clothing and a Fashion accessory
    below = tree.below("/m/09j2d")
    assert below[SUIT] == below[DRESS] == 1
    assert "/m/0k65p" not in tree.below("/m/01g317")  # a hand is a part of a person


def test_broken_class_files(tmp_path: Path) -> None:
    for name in ("class-descriptions-boxable.csv", "classes-segmentation.txt"):
        (tmp_path / name).write_bytes((sample.folder() / name).read_bytes())
    with pytest.raises(DataError, match="hierarchy"):
        class_trees(tmp_path, [])
    for text, expected in (
        ("{", "JSON"),
        ('{"Subcategory": []}', "LabelName"),
        ('{"LabelName": "/m/a", "Part": [3]}', "3"),
    ):
        (tmp_path / "bbox_labels_600_hierarchy.json").write_text(text)
        with pytest.raises(DataError, match=expected):
            class_trees(tmp_path, [])
    circle = '{"LabelName": "/m/0bl9f", "Part": [{"LabelName": "/m/01xyhv", "Part": [{"LabelName": "/m/0bl9f"}]}]}'
    (tmp_path / "bbox_labels_600_hierarchy.json").write_text(circle)
    (tree,) = class_trees(tmp_path, [])
    assert [node.mid for node in walk(tree)] == ["/m/0bl9f", "/m/01xyhv"]
