"""The class tree with names, as text and as a picture. Classes that can have masks are marked."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothseg.openimages.classes import choose_classes, read_classes, read_segmentable
from clothseg.openimages.hierarchy import Branch, Hierarchy, read_hierarchy
from clothseg.openimages.layout import class_file, hierarchy_file, segmentable_file
from clothseg.pictures.tree import Twig, draw_tree


@dataclass(frozen=True)
class NamedBranch:
    """A class at one place of a tree.

    Attributes:
        mid, name: of the class.
        masks: whether it can have masks; None if that is unknown.
        part: whether it is a part of its parent here, and not a kind of it.
        parents: names of all its parents.
        below: its kinds and parts, sorted by name.
    """

    mid: str
    name: str
    masks: bool | None
    part: bool
    parents: tuple[str, ...]
    below: tuple["NamedBranch", ...]

    def as_dict(self) -> dict[str, Any]:
        """The branch as plain values, for JSON."""
        return {
            "mid": self.mid,
            "name": self.name,
            "masks": self.masks,
            "relation": "part" if self.part else "kind",
            "parents": list(self.parents),
            "below": [low.as_dict() for low in self.below],
        }


def class_trees(source: Path, roots: Sequence[str]) -> list[NamedBranch]:
    """The trees below some classes.

    Args:
        source: a folder with the class files.
        roots: names or ids; empty for the whole tree.

    Raises:
        DataError: a class file is missing or broken, or a class is unknown.
    """
    known = read_classes(class_file(source))
    hierarchy = read_hierarchy(hierarchy_file(source))
    path = segmentable_file(source)
    segmentable = read_segmentable(path) if path else None
    names = {c.mid: c.name for c in known}
    mids = [c.mid for c in choose_classes(roots, known)] if roots else [hierarchy.root]
    return [_named(hierarchy.tree(mid), hierarchy, names, segmentable, part=False) for mid in mids]


def _named(
    branch: Branch, hierarchy: Hierarchy, names: Mapping[str, str], segmentable: Collection[str] | None, *, part: bool
) -> NamedBranch:
    below = [
        _named(low, hierarchy, names, segmentable, part=is_part)
        for lows, is_part in ((branch.kinds, False), (branch.parts, True))
        for low in lows
    ]
    return NamedBranch(
        mid=branch.mid,
        name=names.get(branch.mid, "(all classes)" if branch.mid == hierarchy.root else branch.mid),
        masks=None if segmentable is None else branch.mid in segmentable,
        part=part,
        parents=tuple(sorted(names.get(mid, "(all classes)") for mid in hierarchy.parents(branch.mid))),
        below=tuple(sorted(below, key=lambda low: (low.part, low.name.lower()))),
    )


def tree_lines(tree: NamedBranch, *, masks_only: bool = False) -> Iterator[str]:
    """Yields the tree as lines of text.

    `*` marks classes that can have masks, `(part)` marks a part that is not a kind. Other parents are named.

    Args:
        tree: from `class_trees`.
        masks_only: leave out branches without any class that can have masks.
    """
    yield _line(tree)
    yield from _lines_below(tree, "", masks_only)


def _lines_below(tree: NamedBranch, indent: str, masks_only: bool) -> Iterator[str]:
    shown = [low for low in tree.below if not masks_only or has_masks(low)]
    for low in shown:
        last = low is shown[-1]
        others = [name for name in low.parents if name != tree.name]
        also = f" (also below {', '.join(others)})" if others else ""
        yield f"{indent}{'└─ ' if last else '├─ '}{_line(low)}{also}"
        yield from _lines_below(low, indent + ("   " if last else "│  "), masks_only)


def _line(tree: NamedBranch) -> str:
    return f"{tree.name}{' *' if tree.masks else ''}{' (part)' if tree.part else ''}  {tree.mid}"


def has_masks(tree: NamedBranch) -> bool:
    """Whether the class or one below it can have masks."""
    return bool(tree.masks) or any(has_masks(low) for low in tree.below)


def tree_picture(trees: Sequence[NamedBranch], *, masks_only: bool = False) -> bytes:
    """Draws the trees as a PNG. Classes that can have masks are filled."""

    def twig(tree: NamedBranch) -> Twig:
        shown = tuple(twig(low) for low in tree.below if not masks_only or has_masks(low))
        return Twig(tree.name, bool(tree.masks), tree.part, shown)

    title = "Classes of Open Images; filled: with masks; dashed: a part, not a kind"
    return draw_tree([twig(tree) for tree in trees], title=title)
