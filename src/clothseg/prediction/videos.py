"""Predicts on a video: writes it again with everything drawn, and COCO annotations with one image per frame."""

import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

from clothseg.errors import VideoError
from clothseg.files import safe_file_name
from clothseg.instances import CocoResult, coco_results, mask_area
from clothseg.pictures import draw_instances
from clothseg.prediction.options import Find, OutputFormat, PredictOptions
from clothseg.prediction.writers import (
    FrameEntry,
    PredictionRecord,
    RowList,
    Table,
    VideoEntry,
    categories,
    text_file,
)
from clothseg.progress import ProgressBar, no_progress
from clothseg.videos import Frame, Video, VideoWriter, open_video, write_video

if TYPE_CHECKING:  # they need torch
    from clothseg.instances import ArrayInstances, Instances

T = TypeVar("T")


def predict_video(
    number: int,
    path: Path,
    out: Path,
    find: Find,
    names: Mapping[int, str],
    options: PredictOptions,
    progress: ProgressBar = no_progress,
    stop: Callable[[], bool] = lambda: False,
) -> PredictionRecord:
    """Writes `NUMBER-NAME.mp4`, `.json` and `.csv` into `out`, those that `options.formats` has.

    Frames are read, processed and written a few at a time, so memory does not grow with the length. The drawn video has
    the processed frames, upright, with their own times, and no sound. A video that ends early, or has parts that cannot
    be decoded, is written as far as possible, and the record names the problem.

    Args:
        number: of the video among the inputs, from 1.
        path: of the video.
        out: the folder.
        find: returns the instances on some frames.
        names: class names by id 1..K.
        options: what to write.
        progress: wraps the frames, for a progress bar.
        stop: whether to end after the current frames; the files are then complete up to there.

    Raises:
        VideoError: the video cannot be read, or has no frame. Nothing is written then.
    """
    stem = f"{number:04d}-{safe_file_name(path.stem)}"
    with open_video(path) as video, ExitStack() as stack:
        frames = video.frames()
        first = next(frames, None)
        if first is None:
            raise VideoError(video.problem())
        files = _Files.open(stack, out / stem, video, names, options)
        everything = progress(itertools.chain([first], frames), video.declared, path.name)
        chosen = (frame for frame in everything if frame.number % options.frame_stride == 0)
        processed = shown = 0
        for group in _in_groups(chosen, options.batch):
            for frame, found in zip(group, find([frame.pixels for frame in group]), strict=True):
                processed += 1
                shown += files.write(frame, _image(processed, frame, video), found)
            if stop():
                break
        stopped = stop() and next(chosen, None) is not None
        height, width = first.pixels.shape[:2]
        entry: VideoEntry = {"file_name": path.as_posix(), "width": width, "height": height, "frames": processed}
        if files.film is not None:
            entry["video"] = f"{stem}.mp4"
        if files.coco is not None:
            entry["results"] = f"{stem}.json"
        if files.table is not None:
            entry["table"] = f"{stem}.csv"
        problem = f"{path}: stopped after {processed} frames" if stopped else video.problem()
        return PredictionRecord(number, video=entry, shown=shown, problem=problem, stopped=stopped)


def _in_groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of `size`; the last list may be shorter."""
    rest = iter(items)
    while group := list(itertools.islice(rest, size)):
        yield group


def _image(number: int, frame: Frame, video: Video) -> FrameEntry:
    height, width = frame.pixels.shape[:2]
    return {
        "id": number,
        "file_name": video.path.as_posix(),
        "width": width,
        "height": height,
        "frame": frame.number,
        "time": round(video.seconds(frame), 6),
    }


class _CocoFile:
    """Writes COCO annotations frame by frame; a temporary file holds them until the list of images is complete."""

    def __init__(self, file: IO[str], waiting: IO[str], names: Mapping[int, str]) -> None:
        self._file, self._waiting, self._count = file, waiting, 0
        file.write(f'{{"categories": {json.dumps(categories(names))}, "images": ')
        self._images, self._annotations = RowList(file), RowList(waiting)

    def add(self, image: FrameEntry, rows: Sequence[CocoResult]) -> None:
        """Writes a frame and its COCO results."""
        self._images.add(image)
        for row in rows:
            self._count += 1
            area = mask_area(row["segmentation"])
            self._annotations.add({"id": self._count, **row, "area": area, "iscrowd": 0})

    def close(self) -> None:
        """Writes the annotations after the images."""
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
    """The files of one video; None for a file that is not written."""

    names: Mapping[int, str]
    options: PredictOptions
    film: VideoWriter | None
    coco: _CocoFile | None
    table: Table | None

    @classmethod
    def open(
        cls, stack: ExitStack, stem: Path, video: Video, names: Mapping[int, str], options: PredictOptions
    ) -> "_Files":
        """Opens the files; `stack` closes them. `stem` is their path without the suffix."""
        film = coco = table = None
        if OutputFormat.PICTURES in options.formats:
            rate = video.rate / options.frame_stride
            film = stack.enter_context(write_video(stem.with_name(f"{stem.name}.mp4"), rate, video.unit))
        if OutputFormat.COCO in options.formats:
            coco = stack.enter_context(_coco_file(stem.with_name(f"{stem.name}.json"), names))
        if OutputFormat.CSV in options.formats:
            table = Table(stack.enter_context(text_file(stem.with_name(f"{stem.name}.csv"))), names)
        return cls(names, options, film, coco, table)

    def write(self, frame: Frame, image: FrameEntry, found: "Instances | ArrayInstances") -> int:
        """Writes the detections on a frame.

        Returns:
            Number of instances that are shown.
        """
        shown = found[self.options.shown.above_threshold(found)]
        rows = coco_results(image["id"], found, lambda label: label)
        if self.film is not None:
            self.film.add(draw_instances(frame.pixels, shown, self.names), frame.stamp)
        if self.coco is not None:
            self.coco.add(image, rows)
        if self.table is not None:
            self.table.add(image, rows)
        return len(shown)
