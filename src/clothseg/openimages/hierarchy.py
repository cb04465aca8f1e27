"""The class tree of Open Images: 848 nodes for 602 classes, because a class can have several parents.

The `Subcategory` of a node are kinds of it (a dress is clothing). The `Part` of a node belong to it (a hand is a part
of a person), but are not kinds of it.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothseg.errors import DataError, reading, shown
from clothseg.files import read_json

_DEEPEST = 50  # levels; the published tree has 6


@dataclass(frozen=True)
class Branch:
    """A class at one place of a tree, with the kinds and parts below it."""

    mid: str
    kinds: tuple["Branch", ...]
    parts: tuple["Branch", ...]


@dataclass(frozen=True)
class Hierarchy:
    """The relations between classes, by class id.

    Attributes:
        root: id of the topmost class, which has no name.
        kinds: the direct kinds of each class, in the file's order.
        parts: the direct parts of each class.
    """

    root: str
    kinds: Mapping[str, tuple[str, ...]]
    parts: Mapping[str, tuple[str, ...]]

    def __contains__(self, mid: str) -> bool:
        return mid in self.kinds

    def parents(self, mid: str) -> list[str]:
        """The classes of which `mid` is a direct kind or part."""
        return [parent for parent in self.kinds if mid in self.kinds[parent] or mid in self.parts[parent]]

    def below(self, mid: str) -> dict[str, int]:
        """All kinds below a class, with the number of steps down to each. Parts are not included."""
        steps: dict[str, int] = {}
        queue = deque([(mid, 0)])
        while queue:
            parent, depth = queue.popleft()
            for kind in self.kinds.get(parent, ()):
                if kind != mid and kind not in steps:
                    steps[kind] = depth + 1
                    queue.append((kind, depth + 1))
        return steps

    def tree(self, mid: str) -> Branch:
        """The tree below a class. A class with several parents occurs below each of them.

        Raises:
            DataError: the class is not in the tree.
        """
        if mid not in self:
            raise DataError(f"class {mid} is not in the class tree")
        return self._branch(mid, frozenset())

    def _branch(self, mid: str, parents: frozenset[str]) -> Branch:
        seen = parents | {mid}  # a circle in a broken file ends here
        kinds, parts = (
            tuple(self._branch(low, seen) for low in links[mid] if low not in seen)
            for links in (self.kinds, self.parts)
        )
        return Branch(mid, kinds, parts)


def read_hierarchy(path: Path) -> Hierarchy:
    """Reads `bbox_labels_600_hierarchy.json`.

    Raises:
        DataError: it is not JSON, or a node has no `LabelName`.
    """
    with reading(path, DataError, "the class tree is a JSON file; fetch it again"):
        document = read_json(path)
    kinds: dict[str, dict[str, None]] = {}
    parts: dict[str, dict[str, None]] = {}
    stack: list[tuple[Any, int]] = [(document, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > _DEEPEST:
            raise DataError(f"{path}: the class tree has more than {_DEEPEST} levels; is this the class tree?")
        mid = _mid(node, path)
        for key, links in (("Subcategory", kinds), ("Part", parts)):
            low = node.get(key, [])
            if not isinstance(low, list):
                raise DataError(f"{path}: {key} of {mid} is {shown(low)}, not a list; is this the class tree?")
            links.setdefault(mid, {}).update(dict.fromkeys(_mid(n, path) for n in low))
            stack += [(node, depth + 1) for node in low]
    return Hierarchy(
        root=document["LabelName"],
        kinds={mid: tuple(low) for mid, low in kinds.items()},
        parts={mid: tuple(low) for mid, low in parts.items()},
    )


def _mid(node: Any, path: Path) -> str:
    if not isinstance(node, dict) or not isinstance(node.get("LabelName"), str):
        raise DataError(f"{path}: a node without LabelName: {shown(node)}; is this the class tree?")
    return str(node["LabelName"])
