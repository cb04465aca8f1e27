"""Writes the results: the files of each photo, and those that cover all photos, row by row."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NotRequired, TypedDict

from PIL import Image

from clothseg.files import atomic_file, atomic_write, safe_file_name
from clothseg.gallery import clear_gallery
from clothseg.instances import CocoCategory, CocoImage, CocoResult, coco_results, mask_area
from clothseg.instances.calibration import needs_review
from clothseg.photos import RgbImage
from clothseg.pictures import draw_instances
from clothseg.pictures.maps import class_map, class_palette, instance_map, instance_palette, save_map
from clothseg.prediction.gallery import photo_row
from clothseg.prediction.options import OutputFormat, PredictOptions

if TYPE_CHECKING:  # they need torch
    from clothseg.instances import ArrayInstances, Instances

COLUMNS = (
    *("photo", "frame", "time", "number", "class", "score", "x", "y", "width", "height"),
    *("area", "photo_width", "photo_height", "rle"),
)

TABLES = frozenset({OutputFormat.COCO, OutputFormat.CSV})
"""Formats that are one file for all photos."""
_OUTPUTS = re.compile(
    r"\d{4,}-.+\.(png|mp4|json|csv)|labels-.+|predictions\.json|images\.json|detections\.csv|\.unfinished-[0-9a-f]+"
)


class PhotoEntry(CocoImage):
    """A photo in `images.json`; `picture`, `class_map` and `instance_map` are files in the same folder."""

    picture: NotRequired[str]
    class_map: NotRequired[str]
    instance_map: NotRequired[str]


class FrameEntry(CocoImage):
    """A frame in the COCO file of a video: `frame` is its number from 0, `time` is in seconds."""

    frame: int
    time: float


class VideoEntry(TypedDict):
    """A video in `images.json`.

    `frames` is the number of processed frames; `video`, `results` and `table` are files in the same folder.
    """

    file_name: str
    width: int
    height: int
    frames: int
    video: NotRequired[str]
    results: NotRequired[str]
    table: NotRequired[str]


@dataclass(frozen=True)
class PredictionRecord:
    """The result of one photo or video.

    Attributes:
        number: its position among the inputs, from 1.
        photo: its entry in `images.json`, if it is a photo that could be read.
        video: its entry in `images.json`, if it is a video that could be read.
        rows: COCO results of a photo; those of a video are in its own file.
        shown: number of instances that the picture or video shows.
        problem: why it could not be read, or not to its end; otherwise empty.
        stopped: whether it is a video of which only a part is done, because a stop was requested.
        gallery: the row of a photo in the gallery, if there is one.
    """

    number: int
    photo: PhotoEntry | None = None
    video: VideoEntry | None = None
    rows: Sequence[CocoResult] = ()
    shown: int = 0
    problem: str = ""
    stopped: bool = False
    gallery: Sequence[Any] = ()


@dataclass(frozen=True)
class Predicted:
    """The result of a prediction.

    Attributes:
        photos: number of photos that were read.
        videos: number of videos that were read, completely or in part.
        instances: number of instances that the pictures and videos show.
        failed: a message for each photo or video that could not be read, or not to its end.
    """

    photos: int
    videos: int
    instances: int
    failed: Sequence[str]


class RowList:
    """Writes a JSON list row by row, byte-identical to `json.dumps` of the whole list."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._empty = file, True
        file.write("[")

    def add(self, row: Mapping[str, object]) -> None:
        """Writes one more row."""
        self._file.write(("" if self._empty else ", ") + json.dumps(row))
        self._empty = False

    def close(self) -> None:
        """Ends the list."""
        self._file.write("]")


class Table:
    """Writes detections as CSV, one row each."""

    def __init__(self, file: IO[str], names: Mapping[int, str]) -> None:
        self._writer, self._names = csv.writer(file, lineterminator="\n"), names
        self._writer.writerow(COLUMNS)

    def add(self, image: PhotoEntry | FrameEntry, rows: Sequence[CocoResult]) -> None:
        """Writes the detections of one photo or frame, numbered from 1."""
        for number, row in enumerate(rows, start=1):
            height, width = row["segmentation"]["size"]
            place = [image["file_name"], image.get("frame", ""), image.get("time", ""), number]
            found = [self._names[row["category_id"]], row["score"], *row["bbox"], mask_area(row["segmentation"])]
            self._writer.writerow([*place, *found, width, height, row["segmentation"]["counts"]])


def write_photo(
    number: int,
    path: Path,
    photo: RgbImage,
    found: "Instances | ArrayInstances",
    out: Path,
    names: Mapping[int, str],
    options: PredictOptions,
) -> PredictionRecord:
    """Writes the files of one photo, those that `options.formats` has; returns its record."""
    selected = options.shown.above_threshold(found)
    shown = found[selected]
    stem = f"{number:04d}-{safe_file_name(path.stem)}"
    name = f"{stem}.png"
    height, width = photo.shape[:2]
    entry: PhotoEntry = {"id": number, "file_name": path.as_posix(), "width": width, "height": height}
    if OutputFormat.PICTURES in options.formats:
        with atomic_file(out / name) as temporary:
            Image.fromarray(draw_instances(photo, shown, names)).save(temporary, format="PNG")
        entry["picture"] = name
    if OutputFormat.CLASS_MAPS in options.formats:
        save_map(class_map(shown), class_palette(max(names)), out / "class-maps" / name)
        entry["class_map"] = f"class-maps/{name}"
    if OutputFormat.INSTANCE_MAPS in options.formats:
        numbers = [position + 1 for position in selected]
        save_map(instance_map(shown, numbers), instance_palette(found.classes.tolist()), out / "instance-maps" / name)
        entry["instance_map"] = f"instance-maps/{name}"
    wanted = bool(TABLES & options.formats)
    rows = coco_results(number, found, lambda label: label) if wanted or options.gallery else []
    gallery = photo_row(photo, path, out, entry, stem, rows, options.shown) if options.gallery else ()
    for row in rows if options.calibrated else ():
        row["review"] = needs_review(row["score"])
    return PredictionRecord(number, photo=entry, rows=rows if wanted else (), shown=len(shown), gallery=gallery)


def clear_outputs(out: Path) -> None:
    """Deletes the earlier prediction in `out`, so that old and new files do not mix; other files stay."""
    for folder, pattern in ((out, _OUTPUTS), (out / "class-maps", _OUTPUTS), (out / "instance-maps", _OUTPUTS)):
        for old in sorted(folder.iterdir()) if folder.is_dir() else ():
            if old.is_file() and pattern.fullmatch(old.name):
                old.unlink()
    clear_gallery(out)


@contextmanager
def text_file(path: Path) -> Iterator[IO[str]]:
    """Opens a UTF-8 file for writing; the file appears only when it is complete (atomic write)."""
    with (
        atomic_file(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        yield file


def write_records(
    records: Iterable[PredictionRecord], out: Path, names: Mapping[int, str], formats: frozenset[OutputFormat]
) -> Predicted:
    """Writes `images.json`, and `predictions.json` and `detections.csv` if `formats` has them.

    Args:
        records: in the order of the inputs; only one is in memory at a time.
        out: the folder.
        names: class names by id.
        formats: what to write.
    """
    photos: list[PhotoEntry] = []
    videos: list[VideoEntry] = []
    failed: list[str] = []
    shown = 0
    with ExitStack() as stack:
        results = RowList(stack.enter_context(text_file(out / "predictions.json"))) if "coco" in formats else None
        table = Table(stack.enter_context(text_file(out / "detections.csv")), names) if "csv" in formats else None
        for record in records:
            shown += record.shown
            if record.problem:
                failed.append(record.problem)
            if record.video is not None:
                videos.append(record.video)
            if record.photo is None:
                continue
            photos.append(record.photo)
            if table is not None:
                table.add(record.photo, record.rows)
            if results is not None:
                for row in record.rows:
                    results.add(row)
        if results is not None:
            results.close()
    listed = {"images": photos} | ({"videos": videos} if videos else {}) | {"categories": categories(names)}
    atomic_write(out / "images.json", json.dumps(listed, indent=1))
    return Predicted(len(photos), len(videos), shown, failed)


def categories(names: Mapping[int, str]) -> list[CocoCategory]:
    """The classes as COCO categories."""
    return [{"id": number, "name": name} for number, name in names.items()]
