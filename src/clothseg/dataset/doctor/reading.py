"""COCO files into rows. Nothing here stops at a wrong value: it becomes a finding, and the row goes on without it."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from clothseg.dataset.doctor.findings import Finding, Location, Section
from clothseg.dataset.doctor.rows import AnnotationRow, CategoryRow, Id, ImageRow, Split
from clothseg.errors import DataError

SECTIONS: tuple[Section, ...] = get_args(Section)[1:]
_REQUIRED = {
    "categories": ("id", "name"),
    "images": ("id", "file_name", "height", "width"),
    "annotations": ("id", "image_id", "category_id"),
}
_LONGEST_SIDE = 100_000  # more is a slip of the pen, and costs memory


def find_files(inputs: Iterable[Path]) -> list[Path]:
    """COCO files among inputs: a file as it is; of a folder `annotations/*.json`, or its own JSONs and those below.

    Raises:
        DataError: an input does not exist, or holds no JSON file.
    """
    files: list[Path] = []
    for place in inputs:
        if place.is_file():
            files.append(place)
            continue
        if not place.is_dir():
            raise DataError(f"{place}: no such data set; give its folder or its COCO JSON files")
        for pattern in ("annotations/*.json", "*.json", "*/_annotations.coco.json"):
            if found := sorted(place.glob(pattern)):
                files += found
                break
        else:
            raise DataError(f"{place}: no annotations/*.json and no other COCO file in this folder")
    return list(dict.fromkeys(files))


def read_splits(files: Sequence[Path], photo_folders: Sequence[Path] = ()) -> tuple[list[Split], list[Finding]]:
    """Every file that is JSON, with what is wrong with its form.

    Args:
        files: one for each split.
        photo_folders: where photos are; without any, the usual places around each file.

    Raises:
        DataError: a file cannot be read as JSON, or none is a COCO file.
    """
    splits, findings = [], []
    for file, name in zip(files, _names(files), strict=True):
        tree = _read_json(file)
        if not isinstance(tree, dict) or not any(section in tree for section in SECTIONS):
            what = "a list (COCO results?)" if isinstance(tree, list) else "an object without COCO's three lists"
            findings.append(Finding("not_coco", Location(str(file)), f"the file holds {what}, no COCO instances"))
            continue
        split = Split(name, file, tree)
        findings += _fill(split, list(photo_folders) or _usual_folders(file, name))
        splits.append(split)
    if not splits:
        raise DataError(f"{', '.join(map(str, files))}: no COCO instances file (images, annotations, categories)")
    return splits, findings


def _names(files: Sequence[Path]) -> list[str]:
    """A short name for each file, no two alike."""
    plain = [f.parent.name if f.name == "_annotations.coco.json" else f.stem for f in files]
    return [n if plain.count(n) == 1 else f"{f.parent.name}-{n}-{i}" for i, (n, f) in enumerate(zip(plain, files))]  # noqa: B905


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: not readable as JSON ({error})") from error


def _usual_folders(file: Path, name: str) -> list[Path]:
    """Ours, CVAT's, COCO's own, and photos beside the file."""
    root = file.parent.parent if file.parent.name == "annotations" else file.parent
    part = name.removeprefix("instances_")
    folders = [root / "images", root / "images" / part, root / part, root, file.parent]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def _fill(split: Split, folders: Sequence[Path]) -> list[Finding]:
    findings: list[Finding] = []
    photos: dict[Id, str] = {}
    for section in SECTIONS:
        rows = split.tree.get(section)
        if not isinstance(rows, list):
            what = "is missing" if rows is None else f"is no list but {_kind(rows)}"
            findings.append(Finding("not_coco", Location(str(split.file), section), f"{section} {what}"))
            continue
        for number, raw in enumerate(rows):
            place = Location(str(split.file), section, number)
            if not isinstance(raw, dict):
                findings.append(Finding("wrong_type", place, f"the entry is no object but {_kind(raw)}"))
            elif section == "categories":
                findings += _category(split, place, raw)
            elif section == "images":
                findings += _image(split, place, raw, folders)
                if (row := split.images[-1]).id is not None:
                    photos.setdefault(row.id, row.file_name)
            # Annotations may stand before the images in the file, but SECTIONS has them last.
            else:
                findings += _annotation(split, place, raw, photos)
    for kind, empty in (("no_photos", not split.images), ("no_annotations", not split.annotations)):
        if empty:
            findings.append(Finding(kind, Location(str(split.file)), f"no {kind.removeprefix('no_')} in the file"))
    return findings


def _category(split: Split, place: Location, raw: dict[str, Any]) -> list[Finding]:
    findings = _missing(place, raw, "categories")
    number, told = read_id(raw, "id", place)
    name = raw.get("name")
    if "name" in raw and (not isinstance(name, str) or not name.strip()):
        findings.append(Finding("wrong_type", place, f"name is {_kind(name)}, not a word"))
    split.categories.append(CategoryRow(place, number, name if isinstance(name, str) else "", raw))
    return findings + told


def _image(split: Split, place: Location, raw: dict[str, Any], folders: Sequence[Path]) -> list[Finding]:
    name = raw.get("file_name")
    text = name if isinstance(name, str) else ""
    place = Location(place.file, "images", place.row, raw.get("id"), None, text)
    findings = _missing(place, raw, "images")
    number, told = read_id(raw, "id", place)
    if "file_name" in raw and not text.strip():
        findings.append(Finding("wrong_type", place, f"file_name is {_kind(name)}, not a name"))
    sides = []
    for key in ("height", "width"):
        side = raw.get(key)
        if isinstance(side, int) and not isinstance(side, bool) and 1 <= side <= _LONGEST_SIDE:
            sides.append(side)
        elif key in raw:
            words = f"{key} is {_kind(side)}, not a whole number of pixels from 1 to {_LONGEST_SIDE}"
            findings.append(Finding("wrong_type", place, words))
    path = _locate(text, folders) if text.strip() else None
    if text.startswith(("/", "\\")) or ".." in text.replace("\\", "/").split("/") or text[1:3] == ":\\":
        findings.append(Finding("unsafe_name", place, f"file_name is {text!r}"))
    size = (sides[0], sides[1]) if len(sides) == 2 else None
    split.images.append(ImageRow(place, number, text, size, path, raw))
    return findings + told


def _annotation(split: Split, place: Location, raw: dict[str, Any], photos: dict[Id, str]) -> list[Finding]:
    plain = Location(place.file, "annotations", place.row, raw.get("image_id"), raw.get("id"))
    image, told = read_id(raw, "image_id", plain)
    name = photos.get(image, "") if image is not None else ""
    place = Location(place.file, "annotations", place.row, raw.get("image_id"), raw.get("id"), name)
    findings = _missing(place, raw, "annotations") + [Finding(f.kind, place, f.words) for f in told]
    number, about_id = read_id(raw, "id", place)
    category, about_category = read_id(raw, "category_id", place)
    if "iscrowd" in raw and raw["iscrowd"] not in (0, 1):
        findings.append(Finding("wrong_type", place, f"iscrowd is {_kind(raw['iscrowd'])}, not 0 or 1"))
    split.annotations.append(AnnotationRow(place, number, image, category, raw))
    return findings + about_id + about_category


def read_id(raw: dict[str, Any], key: str, place: Location) -> tuple[Id | None, list[Finding]]:
    """An id as a whole number where it can be one (`"7"` and `7.0` are 7), or as a word; None where it is neither."""
    if key not in raw:
        return None, []
    value = raw[key]
    if isinstance(value, int) and not isinstance(value, bool):
        return value, []
    if isinstance(value, float) and value.is_integer():
        return int(value), [Finding("id_not_whole", place, f"{key} is {value!r}, a fraction's type")]
    if isinstance(value, str) and value.strip():
        word = value.strip()
        whole = word.isascii() and word.removeprefix("-").isdigit() and len(word) < 19 and str(int(word)) == word
        return int(word) if whole else word, [Finding("id_not_whole", place, f"{key} is the string {value!r}")]
    return None, [Finding("wrong_type", place, f"{key} is {_kind(value)}, not an id")]


def _missing(place: Location, raw: dict[str, Any], section: str) -> list[Finding]:
    absent = [key for key in _REQUIRED[section] if key not in raw]
    return [Finding("missing_key", place, f"the entry has no {', '.join(absent)}")] if absent else []


def _locate(name: str, folders: Sequence[Path]) -> Path | None:
    """The first folder's file of that name that exists; otherwise where it was looked for first."""
    places = [folder / name.replace("\\", "/") for folder in folders]
    for place in places:
        try:
            if place.is_file():
                return place
        except (OSError, ValueError):
            continue
    return places[0] if places else Path(name)


def numbers(value: Any, count: int | None = None) -> list[float] | None:
    """A list of finite numbers (of that `count`), or None."""
    if not isinstance(value, list) or (count is not None and len(value) != count):
        return None
    answer = []
    for item in value:
        if isinstance(item, bool) or not isinstance(item, int | float):
            return None
        try:
            number = float(item)
        except OverflowError:
            return None
        if not math.isfinite(number):
            return None
        answer.append(number)
    return answer


def _kind(value: Any) -> str:
    """A wrong value in a few words."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:59] + '…'} ({'null' if value is None else type(value).__name__})"
