"""Reads COCO files into rows. A wrong value does not stop it: it becomes a finding, and the row has None instead."""

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
_MAX_SIDE = 100_000  # larger sizes are mistakes and would need too much memory


def find_files(inputs: Iterable[Path]) -> list[Path]:
    """Finds the COCO files of the inputs.

    A file is used as it is. In a folder, the first of these patterns that matches is used: `annotations/*.json`,
    `*.json`, `*/_annotations.coco.json`.

    Raises:
        DataError: an input does not exist, or a folder has no JSON file.
    """
    files: list[Path] = []
    for given in inputs:
        if given.is_file():
            files.append(given)
            continue
        if not given.is_dir():
            raise DataError(f"{given}: no such dataset; give its folder or its COCO JSON files")
        for pattern in ("annotations/*.json", "*.json", "*/_annotations.coco.json"):
            if found := sorted(given.glob(pattern)):
                files += found
                break
        else:
            raise DataError(
                f"{given}: this folder has no annotations/*.json and no other JSON file; give the folder of a dataset"
            )
    return list(dict.fromkeys(files))


def read_splits(files: Sequence[Path], photo_folders: Sequence[Path] = ()) -> tuple[list[Split], list[Finding]]:
    """Reads COCO files and checks their form.

    Args:
        files: one for each split.
        photo_folders: folders with photos. Default: the usual folders near each file.

    Returns:
        The splits and the findings.

    Raises:
        DataError: a file cannot be read as JSON, or none is a COCO file.
    """
    splits, findings = [], []
    for file, name in zip(files, _names(files), strict=True):
        tree = _read_json(file)
        if not isinstance(tree, dict) or not any(section in tree for section in SECTIONS):
            content = "a list (COCO results?)" if isinstance(tree, list) else "an object without COCO's three lists"
            findings.append(
                Finding("not_coco", Location(str(file)), f"the file has {content}, so it is not a COCO instances file")
            )
            continue
        split = Split(name, file, tree)
        findings += _fill(split, list(photo_folders) or _usual_folders(file, name))
        splits.append(split)
    if not splits:
        raise DataError(
            f"{', '.join(map(str, files))}: not a COCO instances file; it needs images, annotations and categories"
        )
    return splits, findings


def _names(files: Sequence[Path]) -> list[str]:
    """A short, unique name for each file."""
    plain = [f.parent.name if f.name == "_annotations.coco.json" else f.stem for f in files]
    return [n if plain.count(n) == 1 else f"{f.parent.name}-{n}-{i}" for i, (n, f) in enumerate(zip(plain, files))]  # noqa: B905


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: cannot be read as JSON ({error})") from error


def _usual_folders(file: Path, name: str) -> list[Path]:
    """The folders with photos of clothseg, CVAT and COCO, and the file's own folder."""
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
            fault = "is missing" if rows is None else f"must be a list, found {_describe(rows)}"
            findings.append(Finding("not_coco", Location(str(split.file), section), f"{section} {fault}"))
            continue
        for number, raw in enumerate(rows):
            location = Location(str(split.file), section, number)
            if not isinstance(raw, dict):
                findings.append(Finding("wrong_type", location, f"the entry must be an object, found {_describe(raw)}"))
            elif section == "categories":
                findings += _category(split, location, raw)
            elif section == "images":
                findings += _image(split, location, raw, folders)
                if (row := split.images[-1]).id is not None:
                    photos.setdefault(row.id, row.file_name)
            # In the file, annotations may come before the images. SECTIONS has them last.
            else:
                findings += _annotation(split, location, raw, photos)
    for kind, empty in (("no_photos", not split.images), ("no_annotations", not split.annotations)):
        if empty:
            findings.append(Finding(kind, Location(str(split.file)), f"the file has no {kind.removeprefix('no_')}"))
    return findings


def _category(split: Split, location: Location, raw: dict[str, Any]) -> list[Finding]:
    findings = _missing(location, raw, "categories")
    number, found = read_id(raw, "id", location)
    name = raw.get("name")
    if "name" in raw and (not isinstance(name, str) or not name.strip()):
        findings.append(Finding("wrong_type", location, f"name must be a text, found {_describe(name)}"))
    split.categories.append(CategoryRow(location, number, name if isinstance(name, str) else "", raw))
    return findings + found


def _image(split: Split, location: Location, raw: dict[str, Any], folders: Sequence[Path]) -> list[Finding]:
    name = raw.get("file_name")
    text = name if isinstance(name, str) else ""
    location = Location(location.file, "images", location.row, raw.get("id"), None, text)
    findings = _missing(location, raw, "images")
    number, found = read_id(raw, "id", location)
    if "file_name" in raw and not text.strip():
        findings.append(Finding("wrong_type", location, f"file_name must be a text, found {_describe(name)}"))
    sides = []
    for key in ("height", "width"):
        side = raw.get(key)
        if isinstance(side, int) and not isinstance(side, bool) and 1 <= side <= _MAX_SIDE:
            sides.append(side)
        elif key in raw:
            message = f"{key} must be an integer from 1 to {_MAX_SIDE}, found {_describe(side)}"
            findings.append(Finding("wrong_type", location, message))
    path = _locate(text, folders) if text.strip() else None
    if text.startswith(("/", "\\")) or ".." in text.replace("\\", "/").split("/") or text[1:3] == ":\\":
        findings.append(Finding("unsafe_name", location, f"file_name is {text!r}"))
    size = (sides[0], sides[1]) if len(sides) == 2 else None
    split.images.append(ImageRow(location, number, text, size, path, raw))
    return findings + found


def _annotation(split: Split, location: Location, raw: dict[str, Any], photos: dict[Id, str]) -> list[Finding]:
    without_photo = Location(location.file, "annotations", location.row, raw.get("image_id"), raw.get("id"))
    image, about_image = read_id(raw, "image_id", without_photo)
    name = photos.get(image, "") if image is not None else ""
    location = Location(location.file, "annotations", location.row, raw.get("image_id"), raw.get("id"), name)
    findings = _missing(location, raw, "annotations") + [Finding(f.kind, location, f.message) for f in about_image]
    number, about_id = read_id(raw, "id", location)
    category, about_category = read_id(raw, "category_id", location)
    if "iscrowd" in raw and raw["iscrowd"] not in (0, 1):
        findings.append(Finding("wrong_type", location, f"iscrowd must be 0 or 1, found {_describe(raw['iscrowd'])}"))
    split.annotations.append(AnnotationRow(location, number, image, category, raw))
    return findings + about_id + about_category


def read_id(raw: dict[str, Any], key: str, location: Location) -> tuple[Id | None, list[Finding]]:
    """Reads an id as an integer if possible (`"7"` and `7.0` are 7), else as a string. None if it is neither."""
    if key not in raw:
        return None, []
    value = raw[key]
    if isinstance(value, int) and not isinstance(value, bool):
        return value, []
    if isinstance(value, float) and value.is_integer():
        return int(value), [Finding("id_not_whole", location, f"{key} must be an integer, found the float {value!r}")]
    if isinstance(value, str) and value.strip():
        text = value.strip()
        integer = text.isascii() and text.removeprefix("-").isdigit() and len(text) < 19 and str(int(text)) == text
        message = f"{key} must be an integer, found the string {value!r}"
        return int(text) if integer else text, [Finding("id_not_whole", location, message)]
    return None, [Finding("wrong_type", location, f"{key} must be an integer, found {_describe(value)}")]


def _missing(location: Location, raw: dict[str, Any], section: str) -> list[Finding]:
    missing = [key for key in _REQUIRED[section] if key not in raw]
    return [Finding("missing_key", location, f"{', '.join(missing)} missing")] if missing else []


def _locate(name: str, folders: Sequence[Path]) -> Path | None:
    """The path of a file in the first folder that has it; else its path in the first folder."""
    paths = [folder / name.replace("\\", "/") for folder in folders]
    for path in paths:
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):
            continue
    return paths[0] if paths else Path(name)


def numbers(value: Any, count: int | None = None) -> list[float] | None:
    """A list of finite numbers, with `count` entries if that is given. None if `value` is anything else."""
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


def _describe(value: Any) -> str:
    """A wrong value and its type."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:59] + '…'} ({'null' if value is None else type(value).__name__})"
