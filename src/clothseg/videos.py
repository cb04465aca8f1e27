"""Reads and writes videos frame by frame, with PyAV: upright pixels and times in, VP9 in MP4 with the same times out.

PyAV is an extra (`pip install "clothseg[video]"`), so it is imported only if there is a video.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from clothseg.errors import VideoError, package_error
from clothseg.files import atomic_file
from clothseg.photos import RgbImage
from clothseg.suggestions import near_path

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv", ".flv", ".3gp", ".ogv"}
)
_BT709 = 1  # the number of this colour space in the stream's tags


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Attributes:
        number: its position in the video, from 0.
        stamp: its time, in the video's `unit`.
        pixels: `[H, W, 3]` uint8 RGB, upright.
    """

    number: int
    stamp: int
    pixels: RgbImage


class Video:
    """A video that is open for reading.

    Attributes:
        path: of the file.
        rate: frames per second; the average if the rate varies.
        unit: of time stamps, in seconds.
        declared: number of frames by the file's header; 0 if it does not say.
        decoded: number of frames that were read so far.
        broken: number of packets that could not be decoded so far.
    """

    def __init__(self, path: Path, container: Any, stream: Any) -> None:
        self.path, self._container, self._stream = path, container, stream
        self.rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        self.unit = Fraction(stream.time_base)
        self.declared = int(stream.frames)
        self.decoded = self.broken = 0
        self._end = 0.0

    def seconds(self, frame: Frame) -> float:
        """The time of a frame, in seconds."""
        return float(frame.stamp * self.unit)

    def frames(self) -> Iterator[Frame]:
        """Yields every frame that can be decoded, in the order of display, one in memory at a time.

        All frames get the size of the first. A frame without a time follows the one before at the video's rate.
        """
        step = max(round(1 / (self.rate * self.unit)), 1)
        stamp, size = -step, None
        for number, frame in enumerate(self._decoded()):
            stamp = max(int(frame.pts), stamp + 1) if frame.pts is not None else stamp + step
            size = size or (frame.width, frame.height)
            pixels = frame.reformat(width=size[0], height=size[1], format="rgb24").to_ndarray()
            turned = np.rot90(pixels, round(frame.rotation / 90) % 4)
            self.decoded, self._end = number + 1, float((stamp + step) * self.unit)
            yield Frame(number, stamp, np.ascontiguousarray(turned, dtype=np.uint8))

    def _decoded(self) -> Iterator[Any]:
        av = _library()
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError:  # the file ends in the middle of something
                self.broken += 1
                packet = None
            try:
                yield from self._stream.decode(packet)
            except av.EOFError:
                return
            except av.FFmpegError:
                self.broken += 1
            if packet is None:
                return

    def problem(self) -> str:
        """What is wrong with the video, after the last frame was read; empty if nothing is."""
        if not self.decoded:
            return f"{self.path}: no frame of this video can be decoded"
        wrong = [f"{self.broken} packets could not be decoded"] if self.broken else []
        if self.decoded < self.declared:
            wrong.append(f"it has {self.decoded} frames, but its header says {self.declared}")
        length = ((self._container.duration or 0) + max(self._container.start_time or 0, 0)) / 1_000_000
        if length - self._end > min(1.0, max(0.25, 0.02 * length)):  # sound may be slightly longer than the pictures
            wrong.append(f"its pictures end at {self._end:.1f} s of {length:.1f} s")
        return f"{self.path}: the video is damaged or cut: {'; '.join(wrong)}" if wrong else ""


@contextmanager
def open_video(path: Path) -> Iterator[Video]:
    """Opens a video for reading.

    Raises:
        VideoError: the file is missing, empty, not a video, or has no pictures (only sound).
        ClothsegError: PyAV is not installed.
    """
    av = _library()
    if not os.path.isfile(path):
        raise VideoError(f"{path}: no such video{near_path(path)}")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty (0 bytes); fetch or copy it again")
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise VideoError(
            f"{path}: not a video that can be read ({error.strerror}); it may be cut off; copy it again"
        ) from error
    with container:
        streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams:
            kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
            raise VideoError(f"{path}: no video in this file; it contains {kinds}")
        if streams[0].codec_context is None or not streams[0].codec_context.width:
            raise VideoError(f"{path}: the video has an unknown codec or no size; convert it to MP4 with H.264")
        streams[0].thread_type = "AUTO"
        yield Video(path, container, streams[0])


class VideoWriter:
    """Writes frames of one size with given times."""

    def __init__(self, container: Any, rate: Fraction, unit: Fraction) -> None:
        self._container, self._rate, self._unit = container, rate, unit
        self._stream: Any = None

    def add(self, pixels: RgbImage, stamp: int) -> None:
        """Writes a frame.

        Args:
            pixels: the frame.
            stamp: its time, in the writer's unit; it must rise from frame to frame.
        """
        av = _library()
        if self._stream is None:
            self._stream = self._begin(*pixels.shape[:2])
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame = picture.reformat(format="yuv420p", dst_colorspace=av.video.reformatter.Colorspace.ITU709)
        frame.pts, frame.time_base = stamp, self._unit
        self._container.mux(self._stream.encode(frame))

    def _begin(self, height: int, width: int) -> Any:
        options = {"deadline": "realtime", "cpu-used": "7", "row-mt": "1", "crf": "28", "b": "0"}
        stream = self._container.add_stream("libvpx-vp9", rate=self._rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = self._unit
        for tag in ("colorspace", "color_primaries", "color_trc"):
            setattr(stream.codec_context, tag, _BT709)
        return stream

    def finish(self) -> None:
        """Writes the frames that the encoder still holds."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))


@contextmanager
def write_video(path: Path, rate: Fraction, unit: Fraction) -> Iterator[VideoWriter]:
    """Writes a video; the file appears only when it is complete (atomic write).

    Args:
        path: of the file.
        rate: frames per second.
        unit: of time stamps, in seconds.
    """
    with atomic_file(path) as temporary, _library().open(str(temporary), "w", format="mp4") as container:
        writer = VideoWriter(container, rate, unit)
        yield writer
        writer.finish()


def is_video(path: Path) -> bool:
    """Whether a file has the suffix of a video."""
    return path.suffix.lower() in SUFFIXES


def check_library() -> None:
    """Checks that videos can be read and written.

    Raises:
        ClothsegError: PyAV is not installed.
    """
    _library()


def _library() -> Any:
    try:
        import av  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise package_error(error, 'videos need PyAV; install it with: pip install "clothseg[video]"') from error
    return av
