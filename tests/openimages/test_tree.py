"""The class tree with names; json is the referee."""

import json
from typing import Any

import pytest

from clothseg import sample
from clothseg.errors import DataError
from clothseg.openimages import class_trees, tree_lines


def walk(tree: Any) -> list[Any]:
    return [tree, *(low for below in tree.below for low in walk(below))]


def test_every_node_of_the_published_tree_exists() -> None:
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


def test_the_tree_as_text_marks_masks_parts_and_other_parents() -> None:
    clothing, person = class_trees(sample.folder(), ["clothing", "/m/01g317"])
    text = "\n".join(tree_lines(clothing))
    assert text.startswith("Clothing *")
    assert "Hat *  /m/02dl1y (also below Fashion accessory)" in text
    assert "Footwear  /m/09j5n" in text
    assert "(part)" in "\n".join(tree_lines(person))
    assert "Coat" in text
    assert "Coat" not in "\n".join(tree_lines(clothing, masks_only=True))
    with pytest.raises(DataError, match="similar: Clothing"):
        class_trees(sample.folder(), ["Cloting"])
