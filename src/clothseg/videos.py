"""Videos, frame by frame: in as upright pixels with their times, out as VP9 in MP4 with the same times. By PyAV.

PyAV is an extra (`pip install "clothseg[video]"`), so it is imported only when there is a video.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clothseg.errors import ClothsegError, VideoError
from clothseg.files import atomic_file

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv", ".flv", ".3gp", ".ogv"}
)
_BT709 = 1  # the number of these colours in the stream's tags


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Attributes:
        number: its place in the video, from 0.
        stamp: its time in units of the video's `unit`.
        pixels: `[H, W, 3]` uint8 RGB, upright.
    """

    number: int
    stamp: int
    pixels: NDArray[np.uint8]


class Video:
    """A video that is open for reading.

    Attributes:
        path: of the file.
        rate: frames a second; for a video of varying rate, on average.
        unit: of time stamps, in seconds.
        declared: how many frames the file says that it has; 0 where it does not say.
        decoded: frames that were read so far.
        broken: pieces that could not be decoded so far.
    """

    def __init__(self, path: Path, container: Any, stream: Any) -> None:
        self.path, self._container, self._stream = path, container, stream
        self.rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        self.unit = Fraction(stream.time_base)
        self.declared = int(stream.frames)
        self.decoded = self.broken = 0
        self._end = 0.0

    def seconds(self, frame: Frame) -> float:
        """When a frame is shown."""
        return float(frame.stamp * self.unit)

    def frames(self) -> Iterator[Frame]:
        """Every frame that can be decoded, once, in the order in which they are shown, one in memory at a time.

        Frames have the size of the first, also where a later one has another. A frame without a time follows the one
        before at the video's rate.
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

    def complaint(self) -> str:
        """After the last frame: what is wrong with the video; nothing if nothing is."""
        if not self.decoded:
            return f"{self.path}: not one frame of this video can be decoded"
        wrong = [f"{self.broken} pieces of it could not be decoded"] if self.broken else []
        if self.decoded < self.declared:
            wrong.append(f"it has {self.decoded} frames, but says that it has {self.declared}")
        length = ((self._container.duration or 0) + max(self._container.start_time or 0, 0)) / 1_000_000
        if length - self._end > min(1.0, max(0.25, 0.02 * length)):  # sound may be a little longer than the pictures
            wrong.append(f"its pictures end at {self._end:.1f} s of {length:.1f} s")
        return f"{self.path}: the video is damaged or was cut: {'; '.join(wrong)}" if wrong else ""


@contextmanager
def open_video(path: Path) -> Iterator[Video]:
    """Open a video for reading.

    Raises:
        VideoError: the file is missing or empty, no video, or has no pictures in it (sound alone).
        ClothsegError: PyAV is not installed.
    """
    av = _library()
    if not path.is_file():
        raise VideoError(f"{path}: no such video")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty (0 bytes); fetch or copy it again")
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: no video that can be read ({error.strerror}); was it cut?") from error
    with container:
        streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams:
            kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
            raise VideoError(f"{path}: no video in this file; it holds {kinds}")
        if streams[0].codec_context is None or not streams[0].codec_context.width:
            raise VideoError(f"{path}: a video of a kind that is not known here, or without a size")
        streams[0].thread_type = "AUTO"
        yield Video(path, container, streams[0])


class VideoWriter:
    """Takes frames of one size and writes them with the times that they are given."""

    def __init__(self, container: Any, rate: Fraction, unit: Fraction) -> None:
        self._container, self._rate, self._unit = container, rate, unit
        self._stream: Any = None

    def add(self, pixels: NDArray[np.uint8], stamp: int) -> None:
        """Write `[H, W, 3]` uint8 RGB to be shown at `stamp`, in the unit given; stamps must rise."""
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
        """Write what the encoder still holds."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))


@contextmanager
def write_video(path: Path, rate: Fraction, unit: Fraction) -> Iterator[VideoWriter]:
    """Write a video of `rate` frames a second whose time stamps count in `unit` seconds: whole, or not at all."""
    with atomic_file(path) as temporary, _library().open(str(temporary), "w", format="mp4") as container:
        writer = VideoWriter(container, rate, unit)
        yield writer
        writer.finish()


def is_video(path: Path) -> bool:
    """Whether a file is called as videos are."""
    return path.suffix.lower() in SUFFIXES


def check_library() -> None:
    """Say now that videos cannot be read or written here.

    Raises:
        ClothsegError: PyAV is not installed.
    """
    _library()


def _library() -> Any:
    try:
        import av  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ClothsegError('videos need PyAV; install it with: pip install "clothseg[video]"') from error
    return av
