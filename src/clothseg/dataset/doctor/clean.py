"""Writes a cleaned copy of a dataset, and the list of what it removed or corrected."""

import csv
import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothseg.dataset.doctor.choose import CORRECTED_ERRORS, CleanSplit, Removed, choose, photos_missing_instances
from clothseg.dataset.doctor.examine import Diagnosis
from clothseg.dataset.doctor.findings import Finding, Location
from clothseg.dataset.doctor.masks import check_mask
from clothseg.dataset.doctor.rows import AnnotationRow, CategoryRow, Id, ImageRow
from clothseg.dataset.reading import RULES, Action
from clothseg.dataset.reading.issues import SECTIONS
from clothseg.errors import DataError
from clothseg.files import atomic_folder, require_outside_inputs, safe_file_name
from clothseg.instances import mask_area, tight_box
from clothseg.instances.class_names import class_name_key

LIST = "changes.csv"
CORRECTED = (
    CORRECTED_ERRORS
    | {"id_below_one", "unsafe_name"}
    | {kind for kind, rule in RULES.items() if rule.action in (Action.CORRECTED, Action.DROPPED)}
)
"""Kinds of findings that the copy corrects, at least in part."""
_COLUMNS = ("done", "file", "list", "row", "image_id", "annotation_id", "photo", "kind", "message")


@dataclass(frozen=True)
class Cleaned:
    """The result of `write_cleaned`.

    Attributes:
        folder: of the copy.
        photos: the number of photos in the copy.
        annotations: the number of annotations in the copy.
        removed: rows that are not in the copy.
        corrected: findings that the copy corrects.
        missing_instances: names of photos that lost an instance, by file. The instance is still visible, but counts
            as background.
    """

    folder: Path
    photos: int
    annotations: int
    removed: tuple[Removed, ...]
    corrected: tuple[Finding, ...]
    missing_instances: Mapping[str, Sequence[str]]


def write_cleaned(diagnosis: Diagnosis, folder: Path, *, overwrite: bool = False) -> Cleaned:
    """Writes everything without errors to `folder`: `images/`, `annotations/`, and `changes.csv` with all changes.

    Ids that are strings, below 1, given twice or different between files get new numbers; the old id stays as
    `source_id`. Names of one class get one spelling. `area` and missing values are computed from the mask.

    Args:
        diagnosis: of the dataset.
        folder: the folder to write.
        overwrite: whether `folder` may be replaced.

    Raises:
        DataError: nothing would remain.
        ClothsegError: the folder exists and `overwrite` is not set, or it contains the dataset.
    """
    kept = [choose(split, diagnosis.findings) for split in diagnosis.splits]
    left = [part for part in kept if part.images]
    if not left:
        raise DataError(
            "the cleaned copy would be empty, because every photo has an error or is missing; nothing was written"
        )
    removed = tuple(row for part in kept for row in part.removed)
    categories = _categories(left)
    gone = {(row.location.file, row.location.section, row.location.row) for row in removed}
    corrected = tuple(
        f
        for f in diagnosis.findings
        if f.kind in CORRECTED and (f.location.file, f.location.section, f.location.row) not in gone
    )
    names = _file_names(left)
    require_outside_inputs(folder, [*(split.file for split in diagnosis.splits), *names], allow_inside=True)
    with atomic_folder(folder, overwrite=overwrite) as temporary:
        (temporary / "annotations").mkdir()
        for part in left:
            _write(part, categories, names, _kinds(diagnosis.findings, part), temporary)
        for source, name in names.items():
            target = temporary / "images" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        _write_list(temporary / LIST, removed, corrected)
    annotations = sum(len(part.annotations) for part in left)
    photos = sum(len(part.images) for part in left)
    return Cleaned(folder, photos, annotations, removed, corrected, photos_missing_instances(left))


def _categories(kept: Iterable[CleanSplit]) -> dict[str, dict[str, Any]]:
    """Each class once, by normalized name, with one id. Ids stay if all are valid and agree between files."""
    first: dict[str, CategoryRow] = {}
    ids: dict[str, set[Id | None]] = {}
    for part in kept:
        for row in part.categories:
            first.setdefault(class_name_key(row.name), row)
            ids.setdefault(class_name_key(row.name), set()).add(row.id)
    used = [next(iter(found)) for found in ids.values()]
    valid = all(len(found) == 1 for found in ids.values()) and _valid(used)
    return {
        key: _renumber(row.raw, row.id if valid and isinstance(row.id, int) else number)
        for number, (key, row) in enumerate(first.items(), start=1)
    }


def _valid(ids: Sequence[Id | None]) -> bool:
    return len(set(ids)) == len(ids) and all(isinstance(i, int) and i >= 1 for i in ids)


def _renumber(raw: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A row with a new id. An old id that is different stays as `source_id`."""
    old = raw.get("id")
    same = old == number and isinstance(old, int)
    return {**raw, "id": number} | ({} if same else {"source_id": old})


def _numbers(rows: Sequence[ImageRow] | Sequence[AnnotationRow]) -> list[int]:
    """The ids if all are valid, else 1, 2, 3 and so on."""
    ids = [row.id for row in rows]
    return [i for i in ids if isinstance(i, int)] if _valid(ids) else list(range(1, len(rows) + 1))


def _file_names(kept: Sequence[CleanSplit]) -> dict[Path, str]:
    """The name of each photo below `images/`: its safe file name, with the split's name as folder if it is used."""
    names: dict[Path, str] = {}
    used: set[str] = set()
    for part in kept:
        for row in part.images:
            if row.path is None or row.path in names:
                continue
            plain = _safe(row.file_name)
            name = plain if plain.casefold() not in used else f"{part.split.name}/{plain}"
            number = 2
            while name.casefold() in used:
                name, number = f"{part.split.name}-{number}/{plain}", number + 1
            used.add(name.casefold())
            names[row.path] = name
    return names


def _safe(name: str) -> str:
    parts = [p for p in name.replace("\\", "/").split("/") if p not in ("", ".", "..") and not p.endswith(":")]
    stem, dot, suffix = parts[-1].rpartition(".")
    safe = [safe_file_name(part) for part in [*parts[:-1], stem or suffix]]
    return "/".join(safe) + (f"{dot}{suffix}" if stem else "")


def _kinds(findings: Iterable[Finding], part: CleanSplit) -> dict[int | None, set[str]]:
    """The kinds of findings of each annotation of the file, by row."""
    answer: dict[int | None, set[str]] = defaultdict(set)
    for finding in findings:
        if finding.location.file == str(part.split.file) and finding.location.section == "annotations":
            answer[finding.location.row].add(finding.kind)
    return answer


def _write(
    part: CleanSplit,
    categories: Mapping[str, Mapping[str, Any]],
    names: Mapping[Path, str],
    kinds: Mapping[int | None, set[str]],
    folder: Path,
) -> None:
    classes = {row.id: int(categories[class_name_key(row.name)]["id"]) for row in part.categories}
    images = dict(zip((row.id for row in part.images), _numbers(part.images), strict=True))
    sizes = {row.id: row.size for row in part.images}
    tree = {key: value for key, value in part.split.tree.items() if key not in SECTIONS}
    tree["categories"] = list(categories.values())
    tree["images"] = [
        _renumber(row.raw, images[row.id]) | {"file_name": names[row.path]}
        for row in part.images
        if row.path is not None
    ]
    tree["annotations"] = []
    for row, number in zip(part.annotations, _numbers(part.annotations), strict=True):
        own = {"image_id": images[row.image_id], "category_id": classes[row.category_id]}
        computed = _compute_values(row, sizes[row.image_id], kinds.get(row.location.row, set()))
        tree["annotations"].append(_renumber(row.raw, number) | own | computed)
    file = folder / "annotations" / f"{part.split.name}.json"
    with file.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
        json.dump(tree, stream, ensure_ascii=False, separators=(",", ":"))
        stream.write("\n")


def _compute_values(row: AnnotationRow, size: tuple[int, int] | None, kinds: set[str]) -> dict[str, Any]:
    """Box and area from the mask, if they are wrong."""
    if size is None or not kinds & {"wrong_area", "zero_box"}:
        return {}
    rle, _ = check_mask(row, size)
    if rle is None:
        return {}
    follows = {"area": mask_area(rle), "bbox": list(tight_box(rle))}
    return {key: value for key, value in follows.items() if {"area": "wrong_area", "bbox": "zero_box"}[key] in kinds}


def _write_list(path: Path, removed: Iterable[Removed], corrected: Iterable[Finding]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for done, rows in (("removed", removed), ("corrected", corrected)):
            writer.writerows([done, *_cells(row.location), row.kind, row.message] for row in rows)


def _cells(location: Location) -> list[Any]:
    return [location.file, location.section, location.row, location.image_id, location.annotation_id, location.photo]
