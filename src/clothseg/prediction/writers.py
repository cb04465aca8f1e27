"""What is one file for all photos: COCO results, the list of photos, the table. Written as answers come in."""

import csv
import heapq
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from clothseg.files import atomic_file, atomic_write
from clothseg.instances import mask_area
from clothseg.prediction.options import OutputFormat

Row = Mapping[str, Any]
COLUMNS = (
    *("photo", "frame", "time", "number", "class", "score", "x", "y", "width", "height"),
    *("area", "photo_width", "photo_height", "rle"),
)


@dataclass(frozen=True)
class PredictionRecord:
    """What came of one photo or video.

    Attributes:
        number: its place among the inputs, from 1.
        image: its entry in `images.json`; empty where it could not be read.
        rows: COCO results of a photo; those of a video are in a file of its own.
        shown: instances that the picture or video shows.
        problem: why it could not be read, or not to its end.
        video: whether it is one.
    """

    number: int
    image: Row = field(default_factory=dict)
    rows: Sequence[Row] = ()
    shown: int = 0
    problem: str = ""
    video: bool = False


@dataclass(frozen=True)
class Predicted:
    """What came of a prediction.

    Attributes:
        photos: how many were read.
        videos: how many were read, whole or in part.
        instances: how many the pictures and videos show.
        failed: a message for each photo or video that could not be read, or not to its end.
    """

    photos: int
    videos: int
    instances: int
    failed: Sequence[str]


class RowList:
    """A JSON list that is written row by row, to the letter as `json.dumps` would write it whole."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._empty = file, True
        file.write("[")

    def add(self, row: Row) -> None:
        """Write one more row."""
        self._file.write(("" if self._empty else ", ") + json.dumps(row))
        self._empty = False

    def close(self) -> None:
        """End the list."""
        self._file.write("]")


class Table:
    """Detections as CSV, a row each."""

    def __init__(self, file: IO[str], names: Mapping[int, str]) -> None:
        self._writer, self._names = csv.writer(file, lineterminator="\n"), names
        self._writer.writerow(COLUMNS)

    def add(self, image: Row, rows: Sequence[Row]) -> None:
        """Write the detections of one photo or frame, numbered from 1."""
        for number, row in enumerate(rows, start=1):
            height, width = row["segmentation"]["size"]
            place = [image["file_name"], image.get("frame", ""), image.get("time", ""), number]
            found = [self._names[row["category_id"]], row["score"], *row["bbox"], mask_area(row["segmentation"])]
            self._writer.writerow([*place, *found, width, height, row["segmentation"]["counts"]])


@contextmanager
def text_file(path: Path) -> Iterator[IO[str]]:
    """A UTF-8 file for writing that appears whole or not at all."""
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield file


def write_records(
    records: Iterable[PredictionRecord], out: Path, names: Mapping[int, str], formats: frozenset[OutputFormat]
) -> Predicted:
    """Write `images.json`, and `predictions.json` and `detections.csv` as far as they are wanted.

    Args:
        answers: in the order of the inputs; held one at a time.
        out: folder.
        names: of classes by id.
        formats: what is wanted.
    """
    images: list[Row] = []
    videos: list[Row] = []
    failed: list[str] = []
    shown = 0
    with ExitStack() as stack:
        results = RowList(stack.enter_context(text_file(out / "predictions.json"))) if "coco" in formats else None
        table = Table(stack.enter_context(text_file(out / "detections.csv")), names) if "csv" in formats else None
        for answer in records:
            if answer.problem:
                failed.append(answer.problem)
            if answer.image:
                (videos if answer.video else images).append(answer.image)
            shown += answer.shown
            if table is not None:
                table.add(answer.image, answer.rows)
            if results is not None:
                for row in answer.rows:
                    results.add(row)
        if results is not None:
            results.close()
    listed = {"images": images} | ({"videos": videos} if videos else {}) | {"categories": categories(names)}
    atomic_write(out / "images.json", json.dumps(listed, indent=1))
    return Predicted(len(images), len(videos), shown, failed)


def categories(names: Mapping[int, str]) -> list[dict[str, Any]]:
    """COCO's categories."""
    return [{"id": number, "name": name} for number, name in names.items()]


def write_part(records: Iterable[PredictionRecord], path: Path) -> None:
    """Write answers to a file of their own, a line each, for another process to put together with others."""
    with text_file(path) as file:
        for answer in records:
            file.write(json.dumps(asdict(answer)) + "\n")


@contextmanager
def merged_parts(paths: Sequence[Path]) -> Iterator[Iterator[PredictionRecord]]:
    """The answers of several part files in the order of the inputs; the files are gone afterwards."""
    with ExitStack() as stack:
        parts = [map(_answer, stack.enter_context(path.open(encoding="utf-8"))) for path in paths]
        yield heapq.merge(*parts, key=lambda answer: answer.number)
    for path in paths:
        path.unlink()


def _answer(line: str) -> PredictionRecord:
    return PredictionRecord(**json.loads(line))
