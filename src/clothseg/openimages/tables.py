"""The tables of Open Images: class names, masks, boxes, image lists.

The lists of the train split have millions of rows, so polars streams them and only the wanted rows reach memory. Every
cell is read as text: ids such as `12345678e9012345` or `00000123` are no numbers, however much they look like it.
"""

import csv
import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from clothseg.errors import DataError

IMAGE_ID = "^[0-9a-f]{16}$"
_PATTERNS = {
    "ImageID": (IMAGE_ID, "16 hex digits"),
    "BoxID": ("^[0-9a-f]+$", "hex digits (was the table saved by a program that takes ids for numbers?)"),
    "LabelName": ("^/[a-z]+/[A-Za-z0-9_]+$", "a class id such as /m/01xyhv"),
    "MaskPath": (r"\.png$", "the name of a PNG"),
}
_MASK_BOX = ["BoxXMin", "BoxYMin", "BoxXMax", "BoxYMax"]
_BOX = ["XMin", "YMin", "XMax", "YMax"]

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class ClassName:
    """A class: its id in Open Images and its name."""

    mid: str
    name: str


@dataclass(frozen=True)
class MaskRow:
    """A row of `*-annotations-object-segmentation.csv`; `box` is x1 y1 x2 y2 in 0..1."""

    image_id: str
    box_id: str
    mid: str
    mask_path: str
    box: Box


@dataclass(frozen=True)
class BoxRow:
    """A row of `*-annotations-bbox.csv`, which has no BoxID; `box` is x1 y1 x2 y2 in 0..1."""

    image_id: str
    mid: str
    box: Box
    is_group: bool


@dataclass(frozen=True)
class PhotoCredit:
    """Whom a photo comes from, out of an image list."""

    author: str
    license: str
    source_url: str


@dataclass(frozen=True)
class SplitFiles:
    """Where the parts of one split lie in a folder of Open Images files."""

    source: Path
    split: str
    photos: Path
    masks: Path
    boxes: Path
    credits: Path


def _first_there(source: Path, names: Sequence[str], what: str) -> Path:
    for name in names:
        if (source / name).exists():
            return source / name
    raise DataError(f"{source / names[0]}: no such file; it is {what} in the layout of Open Images V5")


def class_file(source: Path) -> Path:
    """The class names of a folder: the file of V5, or else that of V7.

    Raises:
        DataError: there is none.
    """
    names = ["class-descriptions-boxable.csv", "oidv7-class-descriptions-boxable.csv"]
    return _first_there(source, names, "the list of class names")


def split_files(source: Path, split: str) -> SplitFiles:
    """The files of one split (`train`, `validation`, `test`), under their published names.

    Raises:
        DataError: one of them is not there.
    """
    lists = [f"{split}-images-boxable-with-rotation.csv", f"{split}-images-with-rotation.csv"]
    boxes = [f"{split}-annotations-bbox.csv", f"oidv6-{split}-annotations-bbox.csv"]
    return SplitFiles(
        source=source,
        split=split,
        photos=_first_there(source, [split], f"the folder of {split} photos"),
        masks=_first_there(source, [f"{split}-annotations-object-segmentation.csv"], "the list of masks"),
        boxes=_first_there(source, boxes, "the list of boxes"),
        credits=_first_there(source, lists if split == "train" else lists[::-1], "the list of photos and authors"),
    )


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


def choose_classes(requests: Sequence[str], known: Sequence[ClassName]) -> list[ClassName]:
    """The classes asked for, in that order: by name (exact, or but for upper and lower case) or by id (`/m/01xyhv`).

    Raises:
        DataError: no request; an unknown name (near ones are offered); a name that several classes have; a class asked
            for twice. All problems stand in one message.
    """
    chosen: list[ClassName] = []
    problems: list[str] = []
    for request in (r.strip() for r in requests):
        found = (
            [c for c in known if request in (c.mid, c.name)]
            or [c for c in known if request.lower() == c.name.lower()]
        )  # fmt: skip
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


def _unknown(request: str, known: Sequence[ClassName]) -> str:
    by_lower = {c.name.lower(): c.name for c in known}
    close = difflib.get_close_matches(request.lower(), by_lower, n=5, cutoff=0.6)
    close += [name for name in by_lower if request and request.lower() in name.split() and name not in close][:5]
    offer = f"; near it: {', '.join(by_lower[name] for name in close)}" if close else ""
    return f"no class is called {request!r}{offer}"


def parse_partitions(text: str | None) -> frozenset[str] | None:
    """First hex digits of image ids from `f`, `0f`, `0,f` or `0-3`; None, for all of them, from None.

    Raises:
        DataError: it is none of these.
    """
    if text is None:
        return None
    digits, chosen = "0123456789abcdef", set[str]()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if dash and len(first) == len(last) == 1 and set(first + last) <= set(digits) and first <= last:
            chosen.update(digits[int(first, 16) : int(last, 16) + 1])
        elif part and not dash and set(part) <= set(digits):
            chosen.update(part)
        else:
            raise DataError(f"partitions {text!r}: give first hex digits of image ids, as f, 0f, e,f or 0-3")
    return frozenset(chosen)


def read_masks(path: Path, mids: Collection[str], partitions: Collection[str] | None = None) -> list[MaskRow]:
    """Rows of a mask list with one of the classes `mids`, ordered by image, box and path; repeated ones too.

    Raises:
        DataError: no such column, or a row (of whatever class) that breaks the format.
    """
    rows = _rows(path, ["ImageID", "BoxID", "LabelName", "MaskPath"], _MASK_BOX, _wanted(mids, partitions))
    read = [
        MaskRow(r["ImageID"], r["BoxID"], r["LabelName"], r["MaskPath"], _box(r, _MASK_BOX))
        for r in rows.iter_rows(named=True)
    ]
    return sorted(read, key=lambda r: (r.image_id, r.box_id, r.mask_path))


def read_boxes(path: Path, mids: Collection[str], partitions: Collection[str] | None = None) -> list[BoxRow]:
    """Rows of a box list with one of the classes `mids`, ordered by image, class and place.

    Raises:
        DataError: no such column, or a row (of whatever class) that breaks the format.
    """
    rows = _rows(path, ["ImageID", "LabelName"], _BOX, _wanted(mids, partitions), ["IsGroupOf"])
    read = [
        BoxRow(r["ImageID"], r["LabelName"], _box(r, _BOX), r["IsGroupOf"] == "1") for r in rows.iter_rows(named=True)
    ]
    return sorted(read, key=lambda r: (r.image_id, r.mid, r.box))


def read_credits(path: Path, image_ids: Collection[str]) -> dict[str, PhotoCredit]:
    """Author, licence and page of the photos `image_ids`, by image id; a photo that is not listed is not in the answer.

    Raises:
        DataError: no such column, or a row that breaks the format.
    """
    wanted = pl.col("ImageID").is_in(sorted(image_ids))
    text = ["Author", "License", "OriginalLandingURL", "OriginalURL"]
    rows = _rows(path, ["ImageID"], [], wanted, text)
    return {
        r["ImageID"]: PhotoCredit(
            author=r["Author"] or "",
            license=r["License"] or "",
            source_url=r["OriginalLandingURL"] or r["OriginalURL"] or "",
        )
        for r in rows.iter_rows(named=True)
    }


def _wanted(mids: Collection[str], partitions: Collection[str] | None) -> pl.Expr:
    wanted = pl.col("LabelName").is_in(sorted(mids))
    if partitions is not None:
        wanted &= pl.col("ImageID").str.slice(0, 1).is_in(sorted(partitions))
    return wanted


def _box(row: Mapping[str, str], columns: Sequence[str]) -> Box:
    x1, y1, x2, y2 = (float(row[c]) for c in columns)
    return x1, y1, x2, y2


def _rows(
    path: Path, ids: Sequence[str], numbers: Sequence[str], wanted: pl.Expr, text: Sequence[str] = ()
) -> pl.DataFrame:
    """The wanted rows as text. Ids must have their pattern and numbers be finite in every row, wanted or not."""
    broken = {c: ~pl.col(c).str.contains(_PATTERNS[c][0]).fill_null(False) for c in ids}
    broken |= {c: ~pl.col(c).cast(pl.Float64, strict=False).is_finite().fill_null(False) for c in numbers}
    columns = [*ids, *numbers, *text]
    try:
        table = pl.scan_csv(path, infer_schema=False, row_index_name="row", encoding="utf8-lossy")
        missing = [c for c in columns if c not in table.collect_schema().names()]
        if missing:
            raise DataError(f"{path}: row 1: no column {', '.join(missing)}; is this the right table?")
        any_broken = pl.any_horizontal(*broken.values())
        # All columns are read, or a row with too many cells would go unseen.
        rows = table.filter(any_broken | wanted).collect(engine="streaming").sort("row")
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: {_why_unreadable(path, str(error))}") from error
    for row in rows.filter(any_broken).head(1).iter_rows(named=True):
        column = next(c for c, test in broken.items() if rows.filter(pl.col("row") == row["row"]).select(test).item())
        meant = _PATTERNS[column][1] if column in _PATTERNS else "a number"
        told = "is missing" if row[column] is None else f"is {row[column]!r}"
        raise DataError(f"{path}: row {row['row'] + 2}: {column} {told}, but should be {meant}")
    return rows


def _why_unreadable(path: Path, error: str) -> str:
    """The first row with too many cells, found by a slow reader because the quick one gives no row."""
    with path.open(encoding="utf-8", errors="replace", newline="") as lines:
        reader = csv.reader(lines)
        width = len(next(reader, []))
        if not width:
            return "the table is empty"
        for number, cells in enumerate(reader, start=2):
            if len(cells) > width:
                return f"row {number} has {len(cells)} cells, the header {width}"
    return f"not a table that can be read ({error.splitlines()[0]})"
