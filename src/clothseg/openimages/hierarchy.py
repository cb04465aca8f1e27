"""The class tree of Open Images: 848 places for 602 classes, since a class can stand in several.

A node's `Subcategory` are kinds of it (a dress is clothing); its `Part` belong to it (a hand is part of a person) and
are no kind of it.
"""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothseg.errors import DataError


@dataclass(frozen=True)
class Branch:
    """A class at one place of a tree: what is below it as kinds, and as parts."""

    mid: str
    kinds: tuple["Branch", ...]
    parts: tuple["Branch", ...]


@dataclass(frozen=True)
class Hierarchy:
    """The relations between classes, by class id, whichever places they stand at.

    Attributes:
        root: id of the class above all, which has no name.
        kinds: the direct kinds of each class, in the file's order.
        parts: the direct parts of each class.
    """

    root: str
    kinds: Mapping[str, tuple[str, ...]]
    parts: Mapping[str, tuple[str, ...]]

    def __contains__(self, mid: str) -> bool:
        return mid in self.kinds

    def parents(self, mid: str) -> list[str]:
        """Classes that `mid` is a direct kind or part of."""
        return [above for above in self.kinds if mid in self.kinds[above] or mid in self.parts[above]]

    def below(self, mid: str) -> dict[str, int]:
        """All kinds of a class, near or far, with the steps down to them. Parts are none."""
        steps: dict[str, int] = {}
        waiting = deque([(mid, 0)])
        while waiting:
            above, depth = waiting.popleft()
            for kind in self.kinds.get(above, ()):
                if kind != mid and kind not in steps:
                    steps[kind] = depth + 1
                    waiting.append((kind, depth + 1))
        return steps

    def tree(self, mid: str) -> Branch:
        """What hangs below a class. A class with several parents is at each of them.

        Raises:
            DataError: the class is not in the tree.
        """
        if mid not in self:
            raise DataError(f"class {mid} is not in the class tree")
        return self._branch(mid, frozenset())

    def _branch(self, mid: str, above: frozenset[str]) -> Branch:
        seen = above | {mid}  # a circle in a spoilt file ends here
        kinds, parts = (
            tuple(self._branch(low, seen) for low in links[mid] if low not in seen)
            for links in (self.kinds, self.parts)
        )
        return Branch(mid, kinds, parts)


def read_hierarchy(path: Path) -> Hierarchy:
    """The tree of `bbox_labels_600_hierarchy.json`.

    Raises:
        DataError: not JSON, or a node without `LabelName`.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as JSON ({error})") from error
    kinds: dict[str, dict[str, None]] = {}
    parts: dict[str, dict[str, None]] = {}
    waiting: list[Any] = [document]
    while waiting:
        node = waiting.pop()
        mid = _mid(node, path)
        for key, links in (("Subcategory", kinds), ("Part", parts)):
            low = node.get(key, [])
            links.setdefault(mid, {}).update(dict.fromkeys(_mid(n, path) for n in low))
            waiting += low
    return Hierarchy(
        root=document["LabelName"],
        kinds={mid: tuple(low) for mid, low in kinds.items()},
        parts={mid: tuple(low) for mid, low in parts.items()},
    )


def _mid(node: Any, path: Path) -> str:
    if not isinstance(node, dict) or not isinstance(node.get("LabelName"), str):
        raise DataError(f"{path}: a node without LabelName: {str(node)[:80]}; is this the class tree?")
    return str(node["LabelName"])
