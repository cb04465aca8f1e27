"""What is on a video: the video again with everything drawn, and COCO annotations with an image a frame."""

import itertools
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from clothseg.errors import VideoError
from clothseg.evaluation.results import coco_results
from clothseg.instances import Instances, mask_area
from clothseg.pictures import draw_instances
from clothseg.prediction.batches import in_groups
from clothseg.prediction.options import Find, OutputFormat, PredictOptions, ProgressBar, no_progress
from clothseg.prediction.writers import PredictionRecord, Row, RowList, Table, categories, text_file
from clothseg.videos import Frame, Video, VideoWriter, open_video, write_video


def predict_video(
    number: int,
    path: Path,
    out: Path,
    find: Find,
    names: Mapping[int, str],
    options: PredictOptions,
    track: ProgressBar = no_progress,
) -> PredictionRecord:
    """Write `NUMBER-NAME.mp4`, `.json` and `.csv` into `out`, as far as they are wanted.

    Frames are read, looked at and written a few at a time: memory does not grow with the length. The drawn video has
    the frames that were looked at, upright, with their own times, and no sound. A video that ends early, or has pieces
    that cannot be decoded, is written as far as it goes, and the answer says what is wrong with it.

    Raises:
        VideoError: it cannot be read, or has no frame. Nothing is written then.
    """
    stem = f"{number:04d}-{path.stem}"
    with open_video(path) as video, ExitStack() as stack:
        frames = video.frames()
        first = next(frames, None)
        if first is None:
            raise VideoError(video.complaint())
        files = _Files.open(stack, out / stem, video, names, options)
        everything = track(itertools.chain([first], frames), video.declared, path.name)
        chosen = (frame for frame in everything if frame.number % options.frame_stride == 0)
        looked_at = shown = 0
        for group in in_groups(chosen, options.batch):
            for frame, found in zip(group, find([frame.pixels for frame in group]), strict=True):
                looked_at += 1
                shown += files.write(frame, _image(looked_at, frame, video), found)
        height, width = first.pixels.shape[:2]
        entry = {"file_name": path.as_posix(), "width": width, "height": height, "frames": looked_at}
        written = [("video", files.film, "mp4"), ("results", files.coco, "json"), ("table", files.table, "csv")]
        entry |= {kind: f"{stem}.{suffix}" for kind, file, suffix in written if file is not None}
        return PredictionRecord(number, entry, shown=shown, problem=video.complaint(), video=True)


def _image(number: int, frame: Frame, video: Video) -> dict[str, object]:
    height, width = frame.pixels.shape[:2]
    return {
        "id": number,
        "file_name": str(video.path),
        "width": width,
        "height": height,
        "frame": frame.number,
        "time": round(video.seconds(frame), 6),
    }


class _CocoFile:
    """COCO annotations of frames as they come in; those of all wait in a file until the list of images is complete."""

    def __init__(self, file: IO[str], waiting: IO[str], names: Mapping[int, str]) -> None:
        self._file, self._waiting, self._count = file, waiting, 0
        file.write(f'{{"categories": {json.dumps(categories(names))}, "images": ')
        self._images, self._annotations = RowList(file), RowList(waiting)

    def add(self, image: Row, rows: list[dict[str, object]]) -> None:
        """Write a frame and its COCO results."""
        self._images.add(image)
        for row in rows:
            self._count += 1
            area = mask_area(row["segmentation"])  # type: ignore[arg-type]
            self._annotations.add({"id": self._count, **row, "area": area, "iscrowd": 0})

    def close(self) -> None:
        """Put the annotations behind the images."""
        self._images.close()
        self._annotations.close()
        self._waiting.seek(0)
        self._file.write(', "annotations": ')
        shutil.copyfileobj(self._waiting, self._file)
        self._file.write("}")


@contextmanager
def _coco_file(path: Path, names: Mapping[int, str]) -> Iterator[_CocoFile]:
    with text_file(path) as file, tempfile.TemporaryFile("w+", encoding="utf-8") as waiting:
        coco = _CocoFile(file, waiting, names)
        yield coco
        coco.close()


@dataclass(frozen=True)
class _Files:
    """The files of one video; None is not wanted."""

    names: Mapping[int, str]
    options: PredictOptions
    film: VideoWriter | None
    coco: _CocoFile | None
    table: Table | None

    @classmethod
    def open(
        cls, stack: ExitStack, stem: Path, video: Video, names: Mapping[int, str], options: PredictOptions
    ) -> "_Files":
        """Begin those that are wanted; `stack` ends them. `stem` is their path up to the suffix."""
        film = coco = table = None
        if OutputFormat.PICTURES in options.formats:
            rate = video.rate / options.frame_stride
            film = stack.enter_context(write_video(stem.with_name(f"{stem.name}.mp4"), rate, video.unit))
        if OutputFormat.COCO in options.formats:
            coco = stack.enter_context(_coco_file(stem.with_name(f"{stem.name}.json"), names))
        if OutputFormat.CSV in options.formats:
            table = Table(stack.enter_context(text_file(stem.with_name(f"{stem.name}.csv"))), names)
        return cls(names, options, film, coco, table)

    def write(self, frame: Frame, image: dict[str, object], found: Instances) -> int:
        """Write what was found on a frame; how much of it is shown."""
        shown = found[self.options.shown.sure(found)]
        rows = coco_results(int(str(image["id"])), found, lambda label: label)
        if self.film is not None:
            self.film.add(draw_instances(frame.pixels, shown, self.names), frame.stamp)
        if self.coco is not None:
            self.coco.add(image, rows)
        if self.table is not None:
            self.table.add(image, rows)
        return len(shown)
