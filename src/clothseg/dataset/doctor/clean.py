"""A cleaned copy of a data set, and the list of what it left out or set right."""

import csv
import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothseg.dataset.doctor.choose import SET_RIGHT, Kept, LeftOut, choose, thinned
from clothseg.dataset.doctor.examine import Diagnosis
from clothseg.dataset.doctor.findings import Finding, Location
from clothseg.dataset.doctor.masks import check_mask, whole_polygons
from clothseg.dataset.doctor.reading import SECTIONS
from clothseg.dataset.doctor.rows import AnnotationRow, CategoryRow, Id, ImageRow
from clothseg.dataset.doctor.splits import same_class
from clothseg.errors import DataError
from clothseg.files import atomic_folder
from clothseg.instances import mask_area, tight_box

LIST = "changes.csv"
_MENDED = SET_RIGHT | {"missing_figure", "id_below_one", "few_points", "unsafe_name"}
_COLUMNS = ("done", "file", "list", "row", "image_id", "annotation_id", "photo", "kind", "words")


@dataclass(frozen=True)
class Cleaned:
    """What the copy in `folder` holds, and what it does not.

    Attributes:
        photos, annotations: how many are in the copy.
        left_out: rows that are not.
        set_right: findings that the copy mends.
        thinned: names of photos, by file, that lost an instance: it is still to be seen and now counts as background.
    """

    folder: Path
    photos: int
    annotations: int
    left_out: tuple[LeftOut, ...]
    set_right: tuple[Finding, ...]
    thinned: Mapping[str, Sequence[str]]


def write_cleaned(diagnosis: Diagnosis, folder: Path, *, overwrite: bool = False) -> Cleaned:
    """Write what is without errors to `folder`: `images/`, `annotations/`, and the list `quarantine.csv`.

    Ids that are strings, below 1, given twice or different between files are numbered anew (the old one stays as
    `source_id`); names of one class are written one way; `area` and missing figures are taken from the mask.

    Raises:
        DataError: nothing would be left.
        ClothsegError: the folder exists and `overwrite` is not set.
    """
    kept = [choose(split, diagnosis.findings) for split in diagnosis.splits]
    left = [part for part in kept if part.images]
    if not left:
        raise DataError("the cleaned copy would be empty: every photo has an error or is missing; nothing was written")
    left_out = tuple(out for part in kept for out in part.left_out)
    categories = _categories(left)
    gone = {(out.place.file, out.place.section, out.place.row) for out in left_out}
    set_right = tuple(
        f for f in diagnosis.findings if f.kind in _MENDED and (f.place.file, f.place.section, f.place.row) not in gone
    )
    names = _file_names(left)
    with atomic_folder(folder, overwrite=overwrite) as temporary:
        (temporary / "annotations").mkdir()
        for part in left:
            _write(part, categories, names, _kinds(diagnosis.findings, part), temporary)
        for source, name in names.items():
            target = temporary / "images" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        _write_list(temporary / LIST, left_out, set_right)
    annotations = sum(len(part.annotations) for part in left)
    photos = sum(len(part.images) for part in left)
    return Cleaned(folder, photos, annotations, left_out, set_right, thinned(left))


def _categories(kept: Iterable[Kept]) -> dict[str, dict[str, Any]]:
    """Every class once, by `same_class`, with one id; ids stay where they are sound and agree."""
    first: dict[str, CategoryRow] = {}
    ids: dict[str, set[Id | None]] = {}
    for part in kept:
        for row in part.categories:
            first.setdefault(same_class(row.name), row)
            ids.setdefault(same_class(row.name), set()).add(row.id)
    used = [next(iter(found)) for found in ids.values()]
    sound = all(len(found) == 1 for found in ids.values()) and _sound(used)
    return {
        key: _renamed(row.raw, row.id if sound and isinstance(row.id, int) else number)
        for number, (key, row) in enumerate(first.items(), start=1)
    }


def _sound(ids: Sequence[Id | None]) -> bool:
    return len(set(ids)) == len(ids) and all(isinstance(i, int) and i >= 1 for i in ids)


def _renamed(raw: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A row under a new id; the old one stays beside it where it was another."""
    old = raw.get("id")
    same = old == number and isinstance(old, int)
    return {**raw, "id": number} | ({} if same else {"source_id": old})


def _numbers(rows: Sequence[ImageRow] | Sequence[AnnotationRow]) -> list[int]:
    ids = [row.id for row in rows]
    return [i for i in ids if isinstance(i, int)] if _sound(ids) else list(range(1, len(rows) + 1))


def _file_names(kept: Sequence[Kept]) -> dict[Path, str]:
    """Where each photo goes below `images/`: its own name, made safe; with the file's name before it where taken."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for part in kept:
        for row in part.images:
            if row.path is None or row.path in names:
                continue
            plain = _safe(row.file_name)
            name = plain if plain.casefold() not in taken else f"{part.split.name}/{plain}"
            number = 2
            while name.casefold() in taken:
                name, number = f"{part.split.name}-{number}/{plain}", number + 1
            taken.add(name.casefold())
            names[row.path] = name
    return names


def _safe(name: str) -> str:
    parts = [p for p in name.replace("\\", "/").split("/") if p not in ("", ".", "..") and not p.endswith(":")]
    return "/".join(parts)


def _kinds(findings: Iterable[Finding], part: Kept) -> dict[int | None, set[str]]:
    """Kinds of findings by row of the file's annotations."""
    answer: dict[int | None, set[str]] = defaultdict(set)
    for finding in findings:
        if finding.place.file == str(part.split.file) and finding.place.section == "annotations":
            answer[finding.place.row].add(finding.kind)
    return answer


def _write(
    part: Kept,
    categories: Mapping[str, Mapping[str, Any]],
    names: Mapping[Path, str],
    kinds: Mapping[int | None, set[str]],
    folder: Path,
) -> None:
    classes = {row.id: int(categories[same_class(row.name)]["id"]) for row in part.categories}
    images = dict(zip((row.id for row in part.images), _numbers(part.images), strict=True))
    sizes = {row.id: row.size for row in part.images}
    tree = {key: value for key, value in part.split.tree.items() if key not in SECTIONS}
    tree["categories"] = list(categories.values())
    tree["images"] = [
        _renamed(row.raw, images[row.id]) | {"file_name": names[row.path]}
        for row in part.images
        if row.path is not None
    ]
    tree["annotations"] = []
    for row, number in zip(part.annotations, _numbers(part.annotations), strict=True):
        own = {"image_id": images[row.image_id], "category_id": classes[row.category_id]}
        figures = _figures(row, sizes[row.image_id], kinds.get(row.place.row, set()))
        tree["annotations"].append(_renamed(row.raw, number) | own | figures)
    with (folder / "annotations" / f"{part.split.name}.json").open("w", encoding="utf-8", newline="\n") as stream:
        json.dump(tree, stream, ensure_ascii=False, separators=(",", ":"))
        stream.write("\n")


def _figures(row: AnnotationRow, size: tuple[int, int] | None, kinds: set[str]) -> dict[str, Any]:
    """Values that follow from the mask, where they are missing or wrong."""
    answer: dict[str, Any] = {}
    if "few_points" in kinds:
        answer["segmentation"] = whole_polygons(row.raw["segmentation"])
    if size is None or not kinds & {"wrong_area", "missing_figure"}:
        return answer
    rle, _ = check_mask(row, size)
    if rle is None:
        return answer
    if "wrong_area" in kinds:
        answer["area"] = mask_area(rle)
    if "missing_figure" in kinds:
        follows = {"bbox": list(tight_box(rle)), "area": mask_area(rle), "iscrowd": 0}
        answer |= {key: value for key, value in follows.items() if row.raw.get(key) is None}
    return answer


def _write_list(path: Path, left_out: Iterable[LeftOut], set_right: Iterable[Finding]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for done, rows in (("left out", left_out), ("set right", set_right)):
            writer.writerows([done, *_cells(row.place), row.kind, row.words] for row in rows)


def _cells(place: Location) -> list[Any]:
    return [place.file, place.section, place.row, place.image_id, place.annotation_id, place.photo]
