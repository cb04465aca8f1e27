"""Class names of Open Images: reads them, and finds the class that a user means."""

import csv
import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clothseg.errors import DataError

# V5 renamed 16 classes. Eleven only got a note in brackets, as in `Egg (Food)`. These five: (name in V4, name in V5).
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
    """Reads `class-descriptions-boxable.csv`: that of V5 has no header, that of V7 has `LabelName,DisplayName`.

    Raises:
        DataError: a row is not an id and a name, or there is no class.
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
        raise DataError(f"{path}: the file has no class; download it again")
    return classes


def read_segmentable(path: Path) -> frozenset[str]:
    """Reads the ids of the classes that can have masks from `classes-segmentation.txt`, one id in each line.

    Raises:
        DataError: a line is not a class id.
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
    """Finds classes by id (`/m/01xyhv`) or name, in the order of the requests.

    A name may differ in case and white space; a note in brackets may be missing (`Egg` for `Egg (Food)`); the names of
    V4 work too. An exact match wins over a looser one.

    Args:
        requests: ids or names.
        known: all classes, from `read_classes`.

    Raises:
        DataError: there is no request; a name is unknown (the message has similar names); several classes have the
            name; a class is requested twice. One message has all problems.
    """
    selected: list[ClassName] = []
    problems: list[str] = []
    for request in (" ".join(r.split()) for r in requests):
        found = _find(request, known)
        if not found:
            problems.append(_unknown(request, known))
        elif len(found) > 1:
            problems.append(f"{request!r} is the name of {', '.join(c.mid for c in found)}; give the id instead")
        elif found[0] in selected:
            problems.append(f"{found[0].name!r} is requested twice")
        else:
            selected.append(found[0])
    if not requests:
        problems.append("no class is requested")
    if problems:
        raise DataError("classes: " + "; ".join(problems))
    return selected


def _find(request: str, known: Sequence[ClassName]) -> list[ClassName]:
    lower = request.lower()
    rules: list[Callable[[ClassName], bool]] = [
        lambda c: request in (c.mid, c.name),
        lambda c: lower == c.name.lower(),
        lambda c: _bare(request) == _bare(c.name),
        lambda c: lower in (name.lower() for name in RENAMED.get(c.mid, ())),
    ]
    for fits in rules:
        found = [c for c in known if fits(c)]
        if found:
            return found
    return []


def _bare(name: str) -> str:
    """The name in lower case, without a note in brackets at its end."""
    return re.sub(r"\s*\([^()]*\)$", "", name).lower()


def _unknown(request: str, known: Sequence[ClassName]) -> str:
    if request.startswith("/"):
        return f"no class has the id {request!r}"
    by_lower = {c.name.lower(): c.name for c in known}
    close = difflib.get_close_matches(request.lower(), by_lower, n=5, cutoff=0.6)
    close += [name for name in by_lower if request and request.lower() in name.split() and name not in close][:5]
    offer = f"; similar: {', '.join(by_lower[name] for name in close)}" if close else ""
    return f"no class is called {request!r}{offer}"
