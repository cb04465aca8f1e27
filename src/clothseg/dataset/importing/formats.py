"""The formats that can be imported, and which of them a folder or file has."""

import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from clothseg.dataset.importing.cvat import read_cvat
from clothseg.dataset.importing.datumaro import read_datumaro
from clothseg.dataset.importing.labelme import read_labelme
from clothseg.dataset.importing.labelme_xml import read_labelme_xml
from clothseg.dataset.importing.labels import LabelSource
from clothseg.dataset.importing.mask_files import read_masks
from clothseg.dataset.importing.supervisely import read_supervisely
from clothseg.dataset.importing.voc import OBJECT_FOLDER, read_voc
from clothseg.dataset.importing.voc_boxes import has_voc_boxes, read_voc_boxes
from clothseg.dataset.importing.yolo import read_yolo
from clothseg.dataset.importing.yolo_layout import has_data_yaml
from clothseg.errors import DataError
from clothseg.paths import PathKind, classify_path
from clothseg.suggestions import near_path

READERS: Mapping[str, Callable[[Path], LabelSource]] = {
    "yolo": read_yolo,
    "labelme": read_labelme,
    "voc": read_voc,
    "voc-boxes": read_voc_boxes,
    "masks": read_masks,
    "supervisely": read_supervisely,
    "cvat-xml": read_cvat,
    "labelme-xml": read_labelme_xml,
    "datumaro": read_datumaro,
}
"""The reader of each format, by its name on the command line."""
AUTO = "auto"
_OF_KIND = {
    PathKind.YOLO: "yolo",
    PathKind.LABELME: "labelme",
    PathKind.VOC: "voc",
    PathKind.MASKS: "masks",
    PathKind.SUPERVISELY: "supervisely",
    PathKind.CVAT: "cvat-xml",
    PathKind.LABELME_XML: "labelme-xml",
    PathKind.DATUMARO: "datumaro",
}
"""The format of what `paths.py` recognizes."""


def open_source(source: Path, form: str = AUTO) -> LabelSource:
    """Finds the labels of a folder or file.

    Args:
        source: of the labelling tool.
        form: a key of `READERS`, or `auto`.

    Raises:
        DataError: there is no such path, the format is unknown, or the files of the format are missing or broken.
    """
    if not source.exists():
        raise DataError(f"{source}: no such file or folder{near_path(source)}")
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
    kind = classify_path(source)
    if (
        kind is PathKind.VOC
        and not any(path.is_dir() for path in source.rglob(OBJECT_FOLDER))
        and has_voc_boxes(source)
    ):
        return "voc-boxes"
    if kind in _OF_KIND:
        return _OF_KIND[kind]
    if kind in {PathKind.COCO, PathKind.DATASET}:
        raise DataError(
            f"{source}: this is COCO already; give it to `clothseg dataset check` and `clothseg fit`. If other labels "
            "lie beside it, name theirs with --format"
        )
    if has_data_yaml(source):
        return "yolo"
    if source.is_file():
        raise DataError(f"{source}: not a label file of a known format; give data.yaml, annotations.xml or a folder")
    raise DataError(
        f"{source}: no labels of a known format. It has {_content(source)}. Known: {', '.join(READERS)}; name one with "
        "--format to see what is missing"
    )


def _content(source: Path) -> str:
    """The number of files of each suffix, for a message."""
    counts = Counter(path.suffix.lower() or "no suffix" for path in source.rglob("*") if path.is_file())
    return ", ".join(f"{count} files {suffix}" for suffix, count in counts.most_common(6)) or "no files"
