"""Broken photos, in every format that is read."""

import io
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from fuzzing import Fuzz, spoil_bytes
from PIL import Image

from clothseg.photos import exif_orientation, read_photo

PIXELS = np.random.default_rng(0).integers(0, 255, (24, 20, 3), dtype=np.uint8)
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
OTHERS = ("DDS", "EPS", "ICNS", "ICO", "MSP", "PCX", "PDF", "SGI", "SPIDER", "TGA", "XBM")
HEADERS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n",
    b"\xc5\xd0\xd3\xc6" + bytes(40),
    b"BLP1" + bytes(200),
    b"BLP2" + bytes(200),
    b"DDS " + bytes(124),
)


def encoded(kind: str, rng: random.Random) -> bytes:
    stream = io.BytesIO()
    modes = {"XBM": "1", "MSP": "1", "SPIDER": "F", "ICNS": "RGBA"}
    mode = modes.get(kind) or rng.choice(["RGB", "L"] + (["RGBA", "P", "1", "LA"] if kind in {"PNG", "TIFF"} else []))
    extra = {"exif": exif(rng)} if kind in {"JPEG", "WEBP", "PNG"} and rng.random() < 0.5 else {}
    Image.fromarray(PIXELS).convert(mode).save(stream, kind, **extra)
    return stream.getvalue()


def exif(rng: random.Random) -> bytes:
    """A block of EXIF data with values of wrong types, counts and offsets."""
    entries = b""
    count = rng.randint(0, 5)
    for _ in range(count):
        tag = rng.choice([0x0112, 0x0112, 0x8769, 0x8825, 0x02BC, 0x011A, 0xA005, rng.randrange(65536)])
        entries += struct.pack(
            "<HHI4s", tag, rng.randrange(14), rng.choice([0, 1, 2, 4, 2**31, 2**32 - 1]), rng.randbytes(4)
        )
    return (
        b"Exif\x00\x00II*\x00" + struct.pack("<IH", rng.choice([8, 8, 8, 0, 2**31]), count) + entries + rng.randbytes(9)
    )


def photo(rng: random.Random) -> bytes:
    kind = rng.randrange(10)
    if kind == 0:
        return rng.choice(HEADERS) + rng.randbytes(rng.randrange(400))
    if kind == 1:
        return spoil_bytes(encoded(rng.choice(OTHERS), rng), rng)
    data = encoded(rng.choice(FORMATS), rng)
    return data if kind == 2 else spoil_bytes(data, rng)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_photos(fuzz: Fuzz) -> None:
    def read(path: Path) -> None:
        pixels = read_photo(path)
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        assert 1 <= exif_orientation(path) <= 8

    fuzz(photo, read, name="photo.jpg")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_orientations(fuzz: Fuzz) -> None:
    """No EXIF data hides a photo: it has its pixels, upright or not."""

    def make(rng: random.Random) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(PIXELS).save(stream, "PNG", exif=exif(rng))
        return stream.getvalue()

    def read(path: Path) -> None:
        pixels = read_photo(path)
        assert sorted(pixels.ravel().tolist()) == sorted(PIXELS.ravel().tolist())

    fuzz(make, read, name="photo.png", all_good=True)
