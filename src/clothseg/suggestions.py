"""Suggestions for a wrong name or path: the nearest that exists. Part of messages."""

import itertools
import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

_SHOWN = 5
_SCANNED = 10_000
"""Names of a folder that are compared at most."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names most like `name`, the nearest first; upper and lower case do not matter."""
    by_lower: dict[str, str] = {}
    for each in known:
        by_lower.setdefault(each.lower(), each)
    return [by_lower[match] for match in get_close_matches(name.lower(), by_lower, n=count)]


def did_you_mean(name: str, known: Sequence[str], *, otherwise: str = "known are") -> str:
    """`did you mean a or b?`, or `known are a, b, c` if none is near."""
    if near := nearest(name, known):
        return f"did you mean {' or '.join(near)}?"
    return f"{otherwise} {', '.join(known)}"


def near_path(path: Path | str) -> str:
    """What exists near a path that does not: `; did you mean runs/demo?`, or `; runs has demo, first`.

    Returns:
        a part of a message, which begins with `; `.
    """
    path = Path(path)
    if "\\" in str(path) and os.path.exists(slashed := str(path).replace("\\", "/")):
        return f"; did you mean {slashed}? Here / separates folders"  # a list that was made on Windows
    parent, missing = path.parent, path
    while not os.path.isdir(parent) and parent != parent.parent:
        parent, missing = parent.parent, parent
    names = _names_in(parent)
    for name in nearest(missing.name, names):
        candidate = parent / name
        whole = candidate / path.relative_to(missing)
        return f"; did you mean {whole if os.path.exists(whole) else candidate}?"
    where = f"{str(parent).removesuffix(os.sep)}{os.sep}" if str(parent) != "." else "this folder"
    if missing != path:
        return f"; there is no folder {missing}"
    if not names:
        return f"; {where} is empty"
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return f"; {where} has {shown}"


def _names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted, without hidden ones."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in itertools.islice(entries, _SCANNED)]
    except OSError:
        return []
    return sorted(name for name in names if not name.startswith("."))
