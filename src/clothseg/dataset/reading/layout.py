"""Finds annotation files and photos in the folders that labelling tools export.

Sources: CVAT's page on its COCO format, FiftyOne's page on COCODetectionDataset, Label Studio's page on COCO export,
Roboflow's page on COCO JSON, labelme's converter to COCO, and the COCO download page.
"""

import mmap
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clothseg.errors import DataError
from clothseg.paths import PathKind, Wanted, classify_path, explain_wrong_path, require_path
from clothseg.suggestions import nearest

PATTERNS = (
    "annotations/instances_*.json",  # COCO, CVAT
    "annotations/*.json",  # clothseg
    "*/_annotations.coco*.json",  # Roboflow
    "_annotations.coco*.json",
    "*.json",  # Label Studio, FiftyOne, labelme's converter, a file beside its photos
    "*/annotations/instances_*.json",
    "*/*.json",  # a folder for each split
)
"""Where annotation files are looked for in a folder; the first pattern that finds any is used."""
PHOTO_FOLDERS = ("images", "data", "JPEGImages")
"""Usual names of the folder with the photos, beside the annotation file or its `annotations` folder."""
_ROLES = {
    "train": ("train", "training", "trainset"),
    "val": ("val", "valid", "validation", "valset", "dev"),
    "test": ("test", "testing", "testset"),
}
_MAX_LISTED = 12


@dataclass(frozen=True)
class SplitFiles:
    """One split of a dataset.

    Attributes:
        name: as the tool calls it, such as `train`, `val2017` or `default`.
        annotations: the COCO file.
        photos: folders where its photos may be, the likeliest first.
    """

    name: str
    annotations: Path
    photos: tuple[Path, ...]

    @property
    def role(self) -> str:
        """`train`, `val` or `test` if the name says so; otherwise empty."""
        return role_of(self.name)


@dataclass(frozen=True)
class Layout:
    """The splits that a folder has, or the one of a file."""

    source: Path
    splits: tuple[SplitFiles, ...]


def role_of(name: str) -> str:
    """`train`, `val` or `test` from the name of a split: `val` for `val2017`, `valid` and `clothes_validation`."""
    words = re.findall(r"[a-z]+", name.casefold())
    return next((role for word in words for role, names in _ROLES.items() if word in names), "")


def find_layout(source: Path, photos: Sequence[Path] = ()) -> Layout:
    """Finds the annotation files of a folder, or takes the file, with the folders of their photos.

    Args:
        source: the folder of a dataset or of an export, or a COCO file.
        photos: folders with photos; by default the usual folders near each file.

    Raises:
        DataError: there is no such folder or file, or no annotation file in it. The message lists what was looked for.
    """
    if source.is_file():
        if classify_path(source) is not PathKind.RESULTS:  # a list may also be a damaged COCO file
            require_path(source, Wanted.DATASET)
        files, names = [source], [_name(source)]
    elif source.is_dir():
        files = _find_files(source)
        below = [path.relative_to(source).parts for path in files]
        names = [parts[0] for parts in below]  # a folder for each split, or else the names of the files
        if any(len(parts) == 1 or parts[0] == "annotations" for parts in below) or len(set(names)) < len(names):
            names = unique_names(files)
    else:
        require_path(source, Wanted.DATASET)
        raise DataError(f"{source}: no such file or folder; give the folder of a dataset or its COCO JSON file")
    splits = [
        SplitFiles(name, file, tuple(photos) or usual_folders(file, name))
        for file, name in zip(files, names, strict=True)
    ]
    return Layout(source, tuple(splits))


def choose_split(layout: Layout, wanted: str) -> SplitFiles:
    """The split with this name, or with this role: `val` also finds `valid`, `validation` and `val2017`.

    A file that was named itself, and a single file whose name says nothing, answer to every name.

    Raises:
        DataError: there is no such split, or more than one; the message lists what there is.
    """
    if layout.source.is_file():
        return layout.splits[0]
    role = role_of(wanted) if wanted.casefold() in _ROLES.get(role_of(wanted), ()) else None
    for found in (
        [split for split in layout.splits if split.name == wanted],
        [split for split in layout.splits if split.name.casefold() == wanted.casefold()],
        [split for split in layout.splits if split.role == role],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(split.name for split in found)
            raise DataError(f"{layout.source}: {wanted} may be {names}; choose one with --split NAME")
    if len(layout.splits) == 1 and not layout.splits[0].role:
        return layout.splits[0]
    listed = [f"{split.name} ({_below(split.annotations, layout.source)})" for split in layout.splits[:_MAX_LISTED]]
    names = ", ".join(listed) + (", ..." if len(layout.splits) > _MAX_LISTED else "")
    near = nearest(wanted, [split.name for split in layout.splits])
    meant = f" (did you mean {near[0]}?)" if near else ""
    raise DataError(f"{layout.source}: no split {wanted!r}{meant}; there is {names}. Choose one with --split NAME")


def usual_folders(file: Path, name: str = "") -> tuple[Path, ...]:
    """The folders near an annotation file where its photos may be; only those that exist, the likeliest first."""
    name = name or _name(file)
    root = file.parent.parent if file.parent.name == "annotations" else file.parent
    near = [root / folder / name for folder in PHOTO_FOLDERS] + [root / folder for folder in PHOTO_FOLDERS]
    folders = [*near, root / name, root, file.parent]
    return tuple(folder for folder in dict.fromkeys(folders) if folder.is_dir())


def unique_names(files: Sequence[Path]) -> list[str]:
    """A short name for each file, no two the same."""
    plain = [_name(file) for file in files]
    counts = Counter(plain)
    return [
        name if counts[name] == 1 else f"{file.parent.name}-{name}-{number}"
        for number, (name, file) in enumerate(zip(plain, files, strict=True))
    ]


def _name(file: Path) -> str:
    """The name of the split: `train2017` for `instances_train2017.json`, the folder's for `_annotations.coco.json`."""
    if file.name.startswith("_annotations.coco"):
        return file.parent.name
    return file.stem.removeprefix("instances_") or file.stem


def _find_files(folder: Path) -> list[Path]:
    for pattern in PATTERNS:
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        named = pattern.startswith("annotations/")  # a broken train.json is named by the reader, not left out
        fitting = [path for path in found if _may_be_coco(path) or (named and role_of(_name(path)))]
        if fitting:
            return fitting
    for place in folder.iterdir():
        if place.is_dir() and not os.access(place, os.R_OK | os.X_OK):
            raise DataError(f"{place}: cannot be read (no permission; change its rights)")
    wrong = explain_wrong_path(folder, Wanted.DATASET) or f"{folder}: this folder has no annotations in COCO's format"
    raise DataError(f"{wrong}. Looked for {', '.join(PATTERNS)}. It contains {_content(folder)}")


def _may_be_coco(path: Path) -> bool:
    """Whether a JSON file has the keys of COCO instances, without reading it as JSON."""
    try:
        with path.open("rb") as file:
            if b"\0" in file.read(8):
                return True  # UTF-16 or UTF-32
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return (
                    content.find(b'"images"') >= 0 and max(map(content.find, (b'"annotations"', b'"categories"'))) >= 0
                )
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False


def _content(folder: Path) -> str:
    """The first names in a folder, in words."""
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())
    if not names:
        return "nothing"
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if folder in path.parents else path.name
