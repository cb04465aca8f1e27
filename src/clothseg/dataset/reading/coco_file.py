"""The one reader of COCO instances files.

Every command reads annotations through this module, so all use a file or all refuse it with the same words. `RULES`
says for each kind of fault whether it is corrected, left out, or refused.
Source of the format: https://cocodataset.org/#format-data
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from clothseg.dataset.reading.annotations import AnnotationReader, used_categories
from clothseg.dataset.reading.classes import check_lowest_id, read_categories
from clothseg.dataset.reading.images import read_images
from clothseg.dataset.reading.issues import SECTIONS, Correction, Issue, IssueLog, Need, Section
from clothseg.dataset.reading.photo_files import PhotoFiles
from clothseg.dataset.reading.rows import AnnotationRow, CocoRows
from clothseg.dataset.reading.values import Id, describe
from clothseg.errors import DataError, shell_command, why_unread
from clothseg.files import read_json
from clothseg.gc_pause import gc_paused
from clothseg.instances.coco_types import CocoAnnotation, CocoCategory, CocoImage
from clothseg.suggestions import near_path

_NEEDS: tuple[Need, ...] = ("photos",)
_KEPT = 3  # issues of each kind, where not all are needed


@dataclass(frozen=True)
class CocoFile:
    """A COCO instances file in the standard form.

    Attributes:
        file: the path, or words for JSON that was given directly.
        categories: in the file's order.
        images: in the file's order.
        annotations: in the file's order, each with `bbox`, `area` and `iscrowd`; polygons and run lengths are as in the
            file.
        paths: of the photos, by the ids of the images; without those that have no name.
        corrections: what was noted, corrected or left out.
    """

    file: Path | str
    categories: list[CocoCategory]
    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    paths: dict[int, Path]
    corrections: tuple[Correction, ...] = ()


@gc_paused()
def read_coco_file(
    source: Path | Mapping[str, Any], folders: Sequence[Path] = (), *, needs: Collection[Need] = _NEEDS
) -> CocoFile:
    """Reads a COCO instances file, corrects what can be computed, and refuses the rest.

    Args:
        source: the file, or parsed JSON.
        folders: where the photos may be, the likeliest first.
        needs: `photos` if photos without a file name are of no use.

    Raises:
        DataError: the file is missing, not JSON, not COCO instances, or has a row that cannot be used. The message
            names the row.
    """
    file = source if isinstance(source, Path) else "the annotations"
    tree = load_tree(source) if isinstance(source, Path) else source
    if reason := not_coco(tree):
        raise DataError(f"{file}: {reason}")
    rows = read_rows(tree, file, PhotoFiles(folders), keep=_KEPT)
    require_usable(rows, needs)
    return standard_form(rows)


def load_tree(path: Path) -> Any:
    """The JSON of a file in UTF-8, UTF-16 or UTF-32.

    Raises:
        DataError: there is no such file, or it is not JSON.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file{near_path(path)}")
    try:
        return read_json(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({why_unread(error)})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({str(error)[:200]})") from error


def not_coco(tree: Any) -> str:
    """Why this JSON is not a COCO instances file; empty if it may be one."""
    if isinstance(tree, Mapping) and any(section in tree for section in SECTIONS):
        return ""
    content = "a list (COCO results?)" if isinstance(tree, list) else "no object with COCO's three lists"
    return f"not a COCO instances file, which has images, annotations and categories; it has {content}"


def read_rows(
    tree: Mapping[str, Any], file: Path | str, photos: PhotoFiles, *, name: str = "", keep: int | None = None
) -> CocoRows:
    """Reads all rows, and reports in the log what is wrong, without raising an error.

    Args:
        tree: the JSON, for which `not_coco` has no objection.
        file: where it comes from.
        photos: finds the photos.
        name: of the split.
        keep: how many issues of each kind are kept; None keeps all.
    """
    rows = CocoRows(name, file, dict(tree), IssueLog(keep))
    given = {section: _objects(rows, section) for section in SECTIONS}
    rows.images = read_images(given["images"], photos, rows.log)
    rows.categories = read_categories(given["categories"], used_categories(given["annotations"]), rows.log)
    check_lowest_id(rows.categories, rows.images_by_id, rows.log)
    reader = AnnotationReader(rows.images_by_id, rows.categories_by_id, rows.log)
    rows.annotations = [reader.read(row, raw) for row, raw in given["annotations"]]
    reader.finish()
    return rows


def _objects(rows: CocoRows, section: Section) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a list with their positions; reports everything else."""
    given = rows.tree.get(section)
    if not isinstance(given, list):
        fault = "is missing" if given is None else f"must be a list, found {describe(given)}"
        rows.log.add(Issue("not_coco", section, None, "", f"not a COCO instances file: {section} {fault}"))
        return []
    answer = []
    for number, raw in enumerate(given):
        if isinstance(raw, dict):
            answer.append((number, raw))
            continue
        kind = "null_row" if raw is None else "wrong_type"
        message = f"the row must be an object, found {describe(raw)}"
        rows.log.add(Issue(kind, section, number, f"{section}[{number}]", message))
    return answer


def require_usable(rows: CocoRows, needs: Collection[Need]) -> None:
    """Refuses a file with a row that cannot be used.

    Raises:
        DataError: there is one. The message names the first, and says how many there are.
    """
    found, total = rows.log.refused(needs)
    if not found:
        return
    more = f" (one of {total} errors)" if total > 1 else ""
    check = shell_command(["clothseg", "dataset", "check", rows.file])
    advice = f"; list all: {check}" if isinstance(rows.file, Path) else ""
    raise DataError(f"{rows.file}: {found[0].text()}{more}{advice}")


def standard_form(rows: CocoRows) -> CocoFile:
    """The rows as COCO has them, with whole numbers as ids. They must be usable."""
    images = _ids(row.id for row in rows.images)
    categories = _ids(row.id for row in rows.categories)
    answer = CocoFile(rows.file, [], [], [], {}, rows.log.corrections())
    for category in rows.categories:
        entry = _with(category.raw, id=categories[category.id])
        answer.categories.append(cast(CocoCategory, entry))
    for image in rows.images:
        answer.images.append(cast(CocoImage, _with(image.raw, id=images[image.id])))
        if image.path is not None:
            answer.paths[images[image.id]] = image.path
    numbers = _annotation_ids(rows.annotations)
    whole = all(isinstance(number, int) for number in (*images, *categories))
    for row, number in zip(rows.annotations, numbers, strict=True):
        raw = row.raw
        as_in_file = row.image_id is raw["image_id"] and row.category_id is raw["category_id"]
        if whole and as_in_file and number is raw.get("id"):  # fast: most files need no other ids
            answer.annotations.append(cast(CocoAnnotation, raw))
            continue
        ids = {"id": number, "image_id": images[row.image_id], "category_id": categories[row.category_id]}
        answer.annotations.append(cast(CocoAnnotation, _with(row.raw, **ids)))
    return answer


def _with(raw: dict[str, Any], **ids: int) -> dict[str, Any]:
    """The row with these ids; the same object if it has them."""
    same = all(type(raw.get(key)) is int and raw[key] == number for key, number in ids.items())
    return raw if same else raw | ids


def _ids(found: Iterable[Id | None]) -> dict[Id | None, int]:
    """A whole number for each id: numbers as they are, texts as the numbers after the highest."""
    given = list(dict.fromkeys(found))
    highest = max((number for number in given if isinstance(number, int)), default=0)
    answer: dict[Id | None, int] = {}
    for number in given:
        if isinstance(number, int):
            answer[number] = number
        else:
            highest += 1
            answer[number] = highest
    return answer


def _annotation_ids(rows: Sequence[AnnotationRow]) -> list[int]:
    """The ids; rows without a number of their own get the numbers after the highest."""
    highest = max((row.id for row in rows if isinstance(row.id, int)), default=0)
    used: set[int] = set()
    answer = []
    for row in rows:
        if isinstance(row.id, int) and row.id not in used:
            number = row.id
        else:
            highest += 1
            number = highest
        used.add(number)
        answer.append(number)
    return answer
