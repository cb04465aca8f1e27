"""Where the photos, labels and class names of a YOLO dataset are."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothseg.config.yaml_text import parse_yaml
from clothseg.dataset.importing.labels import PhotoIndex
from clothseg.errors import ConfigError, DataError, shown
from clothseg.paths import YOLO_LINE
from clothseg.photos import photo_exists

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Our name of each split by the names of keys and folders."""
_NAME_FILES = ("classes.txt", "obj.names", "names.txt")


@dataclass(frozen=True)
class YoloLayout:
    """The files of a dataset.

    Attributes:
        root: its folder.
        names: class names by number.
        photos: by split (empty where there is none), the label file of each photo.
        files: `data.yaml` or the list of names, and the lists of photos.
    """

    root: Path
    names: Mapping[int, str]
    photos: Mapping[str, Mapping[Path, Path]]
    files: list[Path]


def find_layout(source: Path) -> YoloLayout:
    """Finds everything from `data.yaml`, or else from the names of the folders.

    Raises:
        DataError: there are no photos or no class names, or `data.yaml` cannot be read.
    """
    config = source if source.is_file() else yaml_of(source)
    root = config.parent if config and source.is_file() else source
    if config is None:
        names, file = _names_beside(root)
        photos = _by_folders(root)
        files = [file]
    else:
        tree = read_yaml(config)
        names, files = _names(tree.get("names"), config), [config]
        photos = _by_keys(tree, config, files) or _by_folders(root)
    photos = {split: found for split, found in photos.items() if found}
    if not photos:
        raise DataError(f"{source}: no photos; expected images/ with labels/, or the folders that data.yaml names")
    return YoloLayout(root, names, photos, files)


def yaml_of(folder: Path) -> Path | None:
    """The `data.yaml` of a folder: a YAML file with `names`."""
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")], key=lambda p: (p.stem != "data", p.name)):
        try:
            if "names" in read_yaml(path):
                return path
        except DataError:
            continue
    return None


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a YAML file that has keys.

    Raises:
        DataError: it cannot be read, or has something else.
    """
    try:
        tree = parse_yaml(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as YAML ({error})") from error
    except ConfigError as error:
        raise DataError(str(error)) from error
    if not isinstance(tree, dict):
        raise DataError(f"{path}: expected keys such as train, val and names")
    return tree


def _names(value: Any, config: Path) -> dict[int, str]:
    """The class names: a list, or a dict from number to name."""
    entries = dict(enumerate(value)) if isinstance(value, list) else value
    if not isinstance(entries, dict) or not entries:
        raise DataError(f"{config}: names must be a list of class names, or a dict from number to name")
    names: dict[int, str] = {}
    for key, name in entries.items():
        if not str(key).isdigit() or name is None or isinstance(name, list | dict):
            raise DataError(f"{config}: names has {shown(key)}: {shown(name)}; expected a number and a name")
        names[int(key)] = str(name)
    return dict(sorted(names.items()))


def _names_beside(root: Path) -> tuple[dict[int, str], Path]:
    for folder in (root, root / "labels", root / "train" / "labels", root / "labels" / "train"):
        for name in _NAME_FILES:
            if (folder / name).is_file():
                try:
                    lines = (folder / name).read_text(encoding="utf-8-sig").splitlines()
                except (OSError, UnicodeDecodeError) as error:
                    raise DataError(f"{folder / name}: cannot be read as text ({error})") from error
                return dict(enumerate(line.strip() for line in lines if line.strip())), folder / name
    raise DataError(f"{root}: no class names; add data.yaml with names, or classes.txt with one name a line")


def _by_keys(tree: Mapping[str, Any], config: Path, files: list[Path]) -> dict[str, dict[Path, Path]]:
    """The photos that the keys train, val and test name. Lists of photos are added to `files`."""
    bases = [config.parent]
    if isinstance(tree.get("path"), str):
        bases.insert(0, config.parent / tree["path"])
    photos: dict[str, dict[Path, Path]] = {}
    named = {str(key).lower(): value for key, value in tree.items()}
    for key, split in SPLITS.items():
        given = named.get(key)
        for text in given if isinstance(given, list) else [given]:
            if not isinstance(text, str) or not text.strip():
                continue
            place = _existing(text, bases)
            if place is None:
                if split == "test":  # a data.yaml names a test set that was not downloaded
                    continue
                raise DataError(f"{config}: {key} is {text!r}, which is neither in {bases[0]} nor elsewhere near it")
            listed = _listed(place, bases) if place.is_file() else PhotoIndex(place).paths
            files += [place] if place.is_file() else []
            photos.setdefault(split, {}).update({photo: label_path(photo) for photo in listed})
    return photos


def _existing(text: str, bases: Iterable[Path]) -> Path | None:
    """The path, also where folders before it are of another place.

    Roboflow writes `../train/images` for a folder beside `data.yaml`, CVAT `data/images/train/a.jpg` for a file in
    `images`, and others the path on the computer where the dataset was made.
    """
    clean = text.strip().replace("\\", "/")
    parts = [part for place, part in enumerate(clean.split("/")) if place or part]
    while parts[:1] == [".."]:
        parts = parts[1:]
    shorter = ["/".join(parts[start:]) for start in range(max(1, len(parts) - 1))]
    places = list(bases)
    for name in dict.fromkeys((clean, *shorter)):
        for base in places:
            if name and os.path.exists(base / name):
                return base / name
    return None


def _listed(file: Path, bases: Iterable[Path]) -> list[Path]:
    """The photos of a text file with one path a line. A photo that is missing stays in the list, to be reported."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as a list of photos ({error})") from error
    folders = [file.parent, *bases]
    return [_existing(line, folders) or file.parent / line.strip() for line in lines if line.strip()]


def _by_folders(root: Path) -> dict[str, dict[Path, Path]]:
    """The photos by the names of the folders."""
    photos: dict[str, dict[Path, Path]] = {}
    for path in PhotoIndex(root).paths:
        parts = [part.lower() for part in path.relative_to(root).parts[:-1]]
        split = next((SPLITS[part] for part in parts if part in SPLITS), "")
        photos.setdefault(split, {})[path] = label_path(path)
    return photos


def label_path(photo: Path) -> Path:
    """The label file of a photo: in `labels` instead of the last `images` of its path, or beside it."""
    parts = list(photo.parts)
    places = [n for n, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
        moved = Path(*parts).with_suffix(".txt")
        if photo_exists(moved) or not photo.with_suffix(".txt").is_file():
            return moved
    return photo.with_suffix(".txt")


def is_label_file(file: Path) -> bool:
    """Whether a text file begins with the line of an object."""
    try:
        with file.open("rb") as stream:
            return bool(YOLO_LINE.match(stream.read(1 << 16).lstrip()))
    except OSError:
        return False


def has_data_yaml(source: Path) -> bool:
    """Whether a file is a YAML file, or a folder has the one of a YOLO dataset, whose labels may lie elsewhere."""
    return source.suffix.lower() in {".yaml", ".yml"} if source.is_file() else yaml_of(source) is not None
