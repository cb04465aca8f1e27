"""A detector without a network, and photos and videos for it."""

import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from clothseg.instances import Instances, PixelMasks

Picture = NDArray[np.uint8]
NAMES = {1: "Suit", 2: "Dress"}
SIZES = [(40, 60), (60, 40), (40, 60), (30, 30), (60, 40)]


def find(photos: Sequence[Picture]) -> list[Instances]:
    """Finds on each photo the left half as a Dress (0.9), the upper half as a Suit (0.6), a corner as a Suit (0.2)."""
    answers = []
    for photo in photos:
        height, width = photo.shape[:2]
        masks = torch.zeros((3, height, width), dtype=torch.bool)
        masks[0, :, : width // 2] = True
        masks[1, : height // 2] = True
        masks[2, -5:, -5:] = True
        boxes = torch.tensor([[0, 0, width // 2, height], [0, 0, width, height // 2], [width - 5, height - 5, width,
                             height]], dtype=torch.float32)  # fmt: skip
        scores = torch.tensor([0.9, 0.6, 0.2])
        answers.append(Instances((height, width), boxes, torch.tensor([2, 1, 1]), PixelMasks(masks), scores))
    return answers


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Five photos of three sizes, and between them a file that is not a photo."""
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = []
    for number, (height, width) in enumerate(SIZES):
        generator = np.random.default_rng(number)
        path = folder / f"photo{number}.png"
        Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        paths.append(path)
    broken = folder / "broken.jpg"
    broken.write_bytes(b"no photo")
    return [*paths[:2], broken, *paths[2:]]


def make_video(
    path: Path,
    *,
    frames: int = 8,
    size: tuple[int, int] = (64, 48),
    stamps: Sequence[int] | None = None,
    rotation: int = 0,
    codec: str = "libvpx-vp9",
) -> None:
    """A video with a blue upper quarter and a red left quarter below; time stamps are in 1/12800 of a second."""
    av = pytest.importorskip("av")
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 12800)
        for number in range(frames):
            pixels = np.zeros((height, width, 3), np.uint8)
            pixels[:, : width // 4] = (200, 50, 40)
            pixels[: height // 4] = (30, 30, 200)
            pixels[-6:, number * 3 : number * 3 + 6] = 255
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = stamps[number] if stamps else number * 512, Fraction(1, 12800)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if rotation:
        path.write_bytes(_rotated_mp4(path.read_bytes(), rotation))


def _rotated_mp4(mp4: bytes, degrees: int) -> bytes:
    """The video with a matrix in its `tkhd` box (ISO/IEC 14496-12, 8.3.2), so that players turn it counter-clockwise.

    Pixel (x, y) is shown at (a x + c y, b x + d y). PyAV before 18 cannot write the matrix.
    """
    cos, sin = round(math.cos(math.radians(degrees))), round(math.sin(math.radians(degrees)))
    a, b, c, d = cos, -sin, sin, cos  # y points down
    one = 1 << 16
    start = mp4.index(b"tkhd") + 4 + 40  # version 0: times, track and volume come first
    matrix = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    return mp4[:start] + matrix + mp4[start + len(matrix) :]


def make_sound(path: Path) -> None:
    """A second of silence."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
