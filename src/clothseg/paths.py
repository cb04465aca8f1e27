"""What a path is: photos, labels of a tool, a dataset, a run. For messages that say what to do with a wrong one."""

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePath

from clothseg import videos
from clothseg.errors import DataError, shell_command
from clothseg.photos import SUFFIXES, url_in
from clothseg.suggestions import near_path

_SCANNED = 3000  # files of a folder that are looked at
_PHOTOS = 200  # of one folder that are looked at
_DEPTH = 3
_ANNOTATIONS_DEPTH = 2  # of annotations/train.json and train/_annotations.coco.json
_SNIFFED = 8  # files of a kind that are opened
_START = 4096  # bytes that are read of each
_WEIGHTS = frozenset({".safetensors", ".pth", ".pt", ".pkl", ".h5", ".hdf5", ".bin", ".ckpt", ".onnx"})
_TABLES = frozenset({".txt", ".csv", ".tsv", ".parquet", ".xlsx"})
_ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"})
_MASK_FOLDERS = frozenset({"mask", "masks", "segmentation", "segmentations", "labelmaps", "annotations", "labels"})
_DATUMARO = re.compile(rb'"categories"\s*:\s*\{')  # in COCO it is a list
YOLO_LINE = re.compile(rb"\d+( -?[\d.]+(e-?\d+)?){4,}\s*$", re.MULTILINE)
"""The line of an object in a label file of YOLO."""


class PathKind(StrEnum):
    """What a path is. The value is for people."""

    ABSENT = "nothing"
    URL = "a web address"
    EMPTY = "an empty folder"
    PHOTOS = "a folder of photos without labels"
    DATASET = "a COCO dataset"
    RUN = "a run"
    OPEN_IMAGES = "a folder of Open Images files"
    YOLO = "labels in the form of YOLO"
    LABELME = "labels of labelme"
    CVAT = "labels in CVAT's XML"
    LABELME_XML = "labels in the XML of LabelMe 3.0"
    DATUMARO = "labels in Datumaro's JSON"
    VOC = "labels in the form of Pascal VOC"
    SUPERVISELY = "labels of Supervisely"
    LABEL_STUDIO = "labels in Label Studio's own JSON"
    MASKS = "photos with masks as PNG"
    FOLDER = "a folder of something else"
    PHOTO = "a photo"
    VIDEO = "a video"
    COCO = "a COCO annotations file"
    RESULTS = "a COCO results file"
    WEIGHTS = "a weights file"
    ARCHIVE = "an archive"
    TABLE = "a list or table"
    FILE = "a file of another kind"


FOREIGN_LABELS = frozenset(
    {
        *(PathKind.YOLO, PathKind.LABELME, PathKind.CVAT, PathKind.VOC, PathKind.LABELME_XML, PathKind.DATUMARO),
        *(PathKind.SUPERVISELY, PathKind.LABEL_STUDIO, PathKind.MASKS),
    }
)


class Wanted(StrEnum):
    """What a command needs at a path. The value is for people."""

    DATASET = "a dataset"
    RUN = "a run or a weights file"
    EVALUATED = "an evaluated run"
    TRAINED = "the folder of a run"
    OPEN_IMAGES = "a folder of Open Images files"


_RIGHT = {
    Wanted.DATASET: {PathKind.DATASET, PathKind.COCO, PathKind.FILE},
    Wanted.RUN: {PathKind.RUN, PathKind.WEIGHTS, PathKind.FILE},
    Wanted.EVALUATED: {PathKind.RUN},
    Wanted.TRAINED: {PathKind.RUN},
    Wanted.OPEN_IMAGES: {PathKind.OPEN_IMAGES},
}


@dataclass(frozen=True)
class _Contents:
    """The files of a folder, relative to it, and not deeper than `_DEPTH`."""

    root: Path
    files: tuple[PurePath, ...]

    def with_suffix(self, suffix: str) -> list[PurePath]:
        return [file for file in self.files if file.suffix.lower() == suffix]

    def starts(self, suffix: str) -> Iterator[tuple[PurePath, bytes]]:
        """The first bytes of some files with a suffix."""
        for file in self.with_suffix(suffix)[:_SNIFFED]:
            yield file, _start(self.root / file)

    @property
    def photos(self) -> list[PurePath]:
        return [file for file in self.files if file.suffix.lower() in SUFFIXES]


def classify_path(path: Path | str) -> PathKind:
    """What a path is, from names and the first bytes of some files; nothing is parsed."""
    path = Path(path)
    try:
        if path.is_dir():
            return _classify_folder(_Contents(path, tuple(_files(path))))
        if path.exists():
            return _classify_file(path)
    except (OSError, ValueError):
        return PathKind.ABSENT
    return PathKind.URL if url_in(path) else PathKind.ABSENT


def explain_wrong_path(path: Path | str, wanted: Wanted) -> str:
    """What is at `path` instead of what a command needs, and what to do; the empty string if it may be right."""
    kind = classify_path(path)
    if kind in _RIGHT[wanted]:
        return ""
    if kind is PathKind.ABSENT:
        return f"{path}: no such file or folder; expected {wanted}{near_path(path)}"
    name = url_in(path) or path if kind is PathKind.URL else path
    return f"{name}: {kind}, not {wanted}; {_advice(Path(path), kind, wanted)}"


def require_path(path: Path | str, wanted: Wanted) -> None:
    """Refuses a path at which there is certainly not what a command needs.

    Raises:
        DataError: what is there instead, and what to do.
    """
    if wrong := explain_wrong_path(path, wanted):
        raise DataError(wrong)


def _advice(path: Path, kind: PathKind, wanted: Wanted) -> str:
    if kind in {PathKind.URL, PathKind.ARCHIVE}:
        return "download it first" if kind is PathKind.URL else "unpack it first"
    if inside := _inside(path, wanted):
        return f"did you mean {inside}?"
    if wanted in {Wanted.RUN, Wanted.EVALUATED, Wanted.TRAINED}:
        return _way_to_run(kind, wanted)
    if wanted is Wanted.OPEN_IMAGES and kind in _RIGHT[Wanted.DATASET]:
        return "a COCO dataset needs no build, `clothseg fit` takes it"
    if wanted is Wanted.OPEN_IMAGES and kind not in FOREIGN_LABELS | {PathKind.PHOTOS}:
        return "`clothseg dataset download` fetches them"
    return _way_to_dataset(path, kind)


def _way_to_run(kind: PathKind, wanted: Wanted) -> str:
    if wanted is Wanted.EVALUATED:
        return "`clothseg evaluate RUN DATA` evaluates a run"
    swapped = " (the run comes first, then the photos or the dataset)" if kind in _INPUTS else ""
    return f"`clothseg fit DATA --out runs/first` makes a run{swapped}"


def _way_to_dataset(path: Path, kind: PathKind) -> str:
    """How a path of this kind becomes a dataset."""
    if kind in FOREIGN_LABELS:
        return f"`{shell_command(['clothseg', 'dataset', 'import', path, '--out', 'data/imported'])}` reads it"
    if kind is PathKind.OPEN_IMAGES:
        build = shell_command(["clothseg", "dataset", "build", path, "--out", "data/built"])
        return f"`{build}` makes a dataset of it"
    if kind is PathKind.PHOTOS:
        prelabel = shell_command(["clothseg", "predict", "RUN", path, "--labels", "coco", "--out", "found"])
        return (
            "draw the outlines in CVAT, Label Studio, labelme or Roboflow and export COCO; with a first run, "
            f"`{prelabel}` labels them for correction"
        )
    if kind is PathKind.RUN:
        return "name the dataset that is to be used with it"
    return (
        "a dataset has images/, annotations/train.json and annotations/val.json (COCO instances); `clothseg dataset "
        "import` makes one from other labels"
    )


def _inside(path: Path, wanted: Wanted) -> Path | None:
    """A folder in the folder that is what is wanted."""
    if not path.is_dir():
        return None
    below = sorted(place for place in itertools.islice(path.iterdir(), _SCANNED) if place.is_dir())
    right = {PathKind.DATASET, PathKind.RUN, PathKind.OPEN_IMAGES} & _RIGHT[wanted]
    return next((place for place in below[:_SNIFFED] if classify_path(place) in right), None)


_INPUTS = frozenset({PathKind.PHOTO, PathKind.PHOTOS, PathKind.VIDEO, PathKind.DATASET, PathKind.COCO})


def _files(folder: Path) -> Iterator[PurePath]:
    """Some files of a folder, without hidden ones, the shallow ones first."""

    def walk() -> Iterator[PurePath]:
        for here, below, names in os.walk(folder):
            depth = len(Path(here).relative_to(folder).parts)
            below[:] = sorted(name for name in below if not name.startswith(".")) if depth < _DEPTH else []
            inside = [Path(here, name).relative_to(folder) for name in sorted(names) if not name.startswith(".")]
            photos = [file for file in inside if file.suffix.lower() in SUFFIXES]
            yield from (file for file in inside if file.suffix.lower() not in SUFFIXES)
            yield from photos[:_PHOTOS]  # a few show what the others are

    yield from sorted(itertools.islice(walk(), _SCANNED), key=lambda file: len(file.parts))


def _classify_folder(inside: _Contents) -> PathKind:
    names = {str(file.as_posix()) for file in inside.files}
    if "config.yaml" in names and names & {"weights.safetensors", "history.csv", "log.txt", "run.json"}:
        return PathKind.RUN
    tables = inside.with_suffix(".csv")
    if any(re.search(r"class-descriptions|-annotations-|-masks|-images-", file.name) for file in tables):
        return PathKind.OPEN_IMAGES
    if kind := _labels(inside):
        return kind
    if inside.photos:
        return PathKind.PHOTOS
    return PathKind.FOLDER if inside.files else PathKind.EMPTY


def _labels(inside: _Contents) -> PathKind | None:
    """The form of the labels in a folder; None without any."""
    if any(file.name == "meta.json" for file in inside.files) and any("ann" in file.parts for file in inside.files):
        return PathKind.SUPERVISELY
    kinds = [(_classify_json(start), len(file.parts)) for file, start in inside.starts(".json")]
    found = [kind for kind, depth in kinds if depth <= _ANNOTATIONS_DEPTH or kind in FOREIGN_LABELS]
    if PathKind.COCO in found:
        return PathKind.DATASET
    found += [_classify_xml(start) for _, start in inside.starts(".xml")]
    if any(part in {"SegmentationObject", "SegmentationClass"} for file in inside.files for part in file.parts):
        found.append(PathKind.VOC)
    if any(YOLO_LINE.match(start) for _, start in inside.starts(".txt")):
        found.append(PathKind.YOLO)
    masks = [file for file in inside.with_suffix(".png") if _is_mask(file)]
    if masks and len(inside.photos) > len(masks):
        found.append(PathKind.MASKS)
    return next((kind for kind in found if kind in FOREIGN_LABELS), None)


def _is_mask(file: PurePath) -> bool:
    return any(part.lower() in _MASK_FOLDERS for part in file.parts[:-1]) or "mask" in file.stem.lower()


def _classify_file(path: Path) -> PathKind:
    suffix = path.suffix.lower()
    for suffixes, kind in (
        (SUFFIXES, PathKind.PHOTO),
        (videos.SUFFIXES, PathKind.VIDEO),
        (_WEIGHTS, PathKind.WEIGHTS),
        (_ARCHIVES, PathKind.ARCHIVE),
    ):
        if suffix in suffixes:
            return kind
    start = _start(path)
    if suffix == ".xml":
        return _classify_xml(start)
    if suffix in _TABLES and not start.lstrip().startswith((b"{", b"[")):
        return PathKind.TABLE
    return _classify_json(start) if suffix == ".json" else PathKind.FILE


def _classify_xml(start: bytes) -> PathKind:
    if b"<annotations>" in start:
        return PathKind.CVAT
    return PathKind.LABELME_XML if b"<sourceImage" in start or b"<nrows>" in start else PathKind.VOC


def _classify_json(start: bytes) -> PathKind:
    """The kind of a JSON file by its first bytes. An object that nothing else is known of may be COCO."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"["):
        return PathKind.LABEL_STUDIO if b'"data"' in text and b'"annotations"' in text else PathKind.RESULTS
    if b'"shapes"' in text and (b'"imagePath"' in text or b'"version"' in text):
        return PathKind.LABELME
    if b'"classTitle"' in text or (b'"tags"' in text and (b'"objects"' in text or b'"classes"' in text)):
        return PathKind.SUPERVISELY
    if _DATUMARO.search(text):
        return PathKind.DATUMARO
    whole = len(start) < _START
    other = any(key in text for key in (b'"protocol"', b'"timings"', b'"cutouts"'))  # clothseg's own files
    if other or (whole and b'"images"' not in text and b'"annotations"' not in text):
        return PathKind.FILE
    return PathKind.COCO


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_START)
    except OSError:
        return b""
