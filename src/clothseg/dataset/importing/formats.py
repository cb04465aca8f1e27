"""The formats that can be imported, and which of them a folder or file has."""

import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from clothseg.dataset.importing.cvat import is_cvat, read_cvat
from clothseg.dataset.importing.labelme import is_labelme, read_labelme
from clothseg.dataset.importing.labels import LabelSource
from clothseg.dataset.importing.mask_files import PHOTO_FOLDERS, read_masks
from clothseg.dataset.importing.supervisely import read_supervisely
from clothseg.dataset.importing.voc import OBJECT_FOLDER, read_voc
from clothseg.dataset.importing.voc_boxes import has_voc_boxes, read_voc_boxes
from clothseg.dataset.importing.yolo import read_yolo
from clothseg.dataset.importing.yolo_layout import is_yolo
from clothseg.errors import DataError
from clothseg.files import read_json

READERS: Mapping[str, Callable[[Path], LabelSource]] = {
    "yolo": read_yolo,
    "labelme": read_labelme,
    "voc": read_voc,
    "voc-boxes": read_voc_boxes,
    "masks": read_masks,
    "supervisely": read_supervisely,
    "cvat-xml": read_cvat,
}
"""The reader of each format, by its name on the command line."""
AUTO = "auto"
_COCO = {"images", "annotations", "categories"}
_LOOKED_AT = 20  # JSON files that are opened to find the format


def open_source(source: Path, form: str = AUTO) -> LabelSource:
    """Finds the labels of a folder or file.

    Args:
        source: of the labelling tool.
        form: a key of `READERS`, or `auto`.

    Raises:
        DataError: there is no such path, the format is unknown, or the files of the format are missing or broken.
    """
    if not source.exists():
        raise DataError(f"{source}: no such file or folder")
    if form not in {AUTO, *READERS}:
        raise DataError(f"unknown format {form!r}; use {', '.join([AUTO, *READERS])}")
    if source.is_file() and zipfile.is_zipfile(source):
        raise DataError(f"{source}: a zip file; unpack it and give the folder")
    return READERS[detect(source) if form == AUTO else form](source)


def detect(source: Path) -> str:
    """The format of a folder or file: a key of `READERS`.

    Raises:
        DataError: none fits. The message says what is there.
    """
    if source.is_file():
        return _of_file(source)
    for form, fits in _SIGNS.items():
        if fits(source):
            return form
    for path in _first_json(source):
        tree = _json(path)
        if is_labelme(tree):
            return "labelme"
        if isinstance(tree, dict) and tree.keys() >= _COCO:
            raise DataError(f"{path}: this is COCO already; give it to `clothseg dataset check` and `clothseg fit`")
    raise DataError(
        f"{source}: no labels of a known format. It has {_content(source)}. Known: {', '.join(READERS)}; name one with "
        "--format to see what is missing"
    )


def _has_masks(source: Path) -> bool:
    return any(
        path.is_dir() and any((path.parent / name).is_dir() for name in PHOTO_FOLDERS) for path in source.rglob("masks")
    )


_SIGNS: Mapping[str, Callable[[Path], bool]] = {
    "supervisely": lambda path: (path / "meta.json").is_file() and any(p.is_dir() for p in path.rglob("ann")),
    "voc": lambda path: any(p.is_dir() for p in path.rglob(OBJECT_FOLDER)),
    "cvat-xml": lambda path: any(is_cvat(p) for p in path.glob("*.xml")),
    "masks": _has_masks,
    "voc-boxes": has_voc_boxes,
    "yolo": is_yolo,
}
"""What gives a format away, the surest first. JSON files are opened last."""


def _of_file(path: Path) -> str:
    if is_yolo(path):
        return "yolo"
    if path.suffix.lower() == ".xml" and is_cvat(path):
        return "cvat-xml"
    tree = _json(path) if path.suffix.lower() == ".json" else None
    if is_labelme(tree):
        return "labelme"
    if isinstance(tree, dict) and tree.keys() >= _COCO:
        raise DataError(f"{path}: this is COCO already; give it to `clothseg dataset check` and `clothseg fit`")
    raise DataError(f"{path}: not a label file of a known format; give data.yaml, annotations.xml or a folder")


def _first_json(source: Path) -> list[Path]:
    found: list[Path] = []
    for path in source.rglob("*.json"):
        found.append(path)
        if len(found) == _LOOKED_AT:
            break
    return sorted(found)


def _json(path: Path) -> object:
    try:
        return read_json(path)
    except (OSError, ValueError, RecursionError):
        return None


def _content(source: Path) -> str:
    """The number of files of each suffix, for a message."""
    counts = Counter(path.suffix.lower() or "no suffix" for path in source.rglob("*") if path.is_file())
    return ", ".join(f"{count} files {suffix}" for suffix, count in counts.most_common(6)) or "no files"
