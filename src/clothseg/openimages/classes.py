"""Class names of Open Images: read, and found again by what people call them."""

import csv
import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clothseg.errors import DataError

# V5 renamed 16 classes. Eleven only got a remark, as in `Egg (Food)`; these got another name. First V4's, then V5's.
RENAMED = {
    "/m/0284d": ("Dairy", "Dairy Product"),
    "/m/0319l": ("Horn", "French horn"),
    "/m/054xkw": ("Lifejacket", "Personal flotation device"),
    "/m/0cjs7": ("Asparagus", "Garden Asparagus"),
    "/m/0ftb8": ("Sunflower", "Common sunflower"),
}


@dataclass(frozen=True)
class ClassName:
    """A class: its id in Open Images and its name."""

    mid: str
    name: str


def read_classes(path: Path) -> list[ClassName]:
    """The classes of `class-descriptions-boxable.csv` (no header, CRLF) or of V7's (`LabelName,DisplayName` on top).

    Raises:
        DataError: a row is not an id and a name.
    """
    classes: list[ClassName] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            for number, cells in enumerate(csv.reader(lines), start=1):
                if not cells or (number == 1 and "/" not in cells[0]):
                    continue
                if len(cells) != 2 or not cells[0].startswith("/") or not cells[1].strip():
                    raise DataError(f"{path}: row {number}: {','.join(cells)!r} is not a class id and a name")
                classes.append(ClassName(cells[0].strip(), cells[1].strip()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a table in UTF-8 ({error})") from error
    if not classes:
        raise DataError(f"{path}: no class in it")
    return classes


def read_segmentable(path: Path) -> frozenset[str]:
    """Ids of the classes that can have masks, from `classes-segmentation.txt`: one id a line.

    Raises:
        DataError: a line is no class id.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text in UTF-8 ({error})") from error
    mids = [line.strip() for line in lines]
    for number, mid in enumerate(mids, start=1):
        if mid and not mid.startswith("/"):
            raise DataError(f"{path}: row {number}: {mid!r} is not a class id such as /m/01xyhv")
    return frozenset(mid for mid in mids if mid)


def choose_classes(requests: Sequence[str], known: Sequence[ClassName]) -> list[ClassName]:
    """The classes asked for, in that order, by id (`/m/01xyhv`) or by name.

    A name may differ in upper and lower case and in white space; a remark in brackets may be missing (`Egg` for
    `Egg (Food)`); the names that V4 had are known too. The strictest reading that finds a class counts.

    Raises:
        DataError: no request; an unknown name (near ones are offered); a name that several classes have; a class asked
            for twice. All problems stand in one message.
    """
    chosen: list[ClassName] = []
    problems: list[str] = []
    for request in (" ".join(r.split()) for r in requests):
        found = _find(request, known)
        if not found:
            problems.append(_unknown(request, known))
        elif len(found) > 1:
            problems.append(f"{request!r} is the name of {', '.join(c.mid for c in found)}: give the id instead")
        elif found[0] in chosen:
            problems.append(f"{found[0].name!r} is asked for twice")
        else:
            chosen.append(found[0])
    if not requests:
        problems.append("no class was asked for")
    if problems:
        raise DataError("classes: " + "; ".join(problems))
    return chosen


def _find(request: str, known: Sequence[ClassName]) -> list[ClassName]:
    lower = request.lower()
    readings: list[Callable[[ClassName], bool]] = [
        lambda c: request in (c.mid, c.name),
        lambda c: lower == c.name.lower(),
        lambda c: _bare(request) == _bare(c.name),
        lambda c: lower in (name.lower() for name in RENAMED.get(c.mid, ())),
    ]
    for fits in readings:
        found = [c for c in known if fits(c)]
        if found:
            return found
    return []


def _bare(name: str) -> str:
    """Without a remark in brackets at the end, in lower case."""
    return re.sub(r"\s*\([^()]*\)$", "", name).lower()


def _unknown(request: str, known: Sequence[ClassName]) -> str:
    if request.startswith("/"):
        return f"no class has the id {request!r}"
    by_lower = {c.name.lower(): c.name for c in known}
    close = difflib.get_close_matches(request.lower(), by_lower, n=5, cutoff=0.6)
    close += [name for name in by_lower if request and request.lower() in name.split() and name not in close][:5]
    offer = f"; near it: {', '.join(by_lower[name] for name in close)}" if close else ""
    return f"no class is called {request!r}{offer}"
