"""Photos in every format, files that are not photos, and the search for photos."""

import io
import os
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image, ImageOps

from clothseg.dataset.photo_search import find_photos
from clothseg.errors import PhotoError
from clothseg.photos import (
    check_photo,
    exif_orientation,
    formats_that_are_read,
    read_photo,
    try_read_photo,
    turn_upright,
)
from clothseg.serve.decode import decode_photo
from clothseg.serve.limits import Limits

RAMP = np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))
OLD_PILLOW = pytest.mark.skipif(
    int(PIL.__version__.partition(".")[0]) < 13, reason="Pillow before 13 cannot read an uncompressed YCbCr TIFF"
)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "LA", "RGBA", "CMYK", pytest.param("YCbCr", marks=OLD_PILLOW)])
def test_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(RAMP).convert("L" if mode == "P" else "RGB").convert(mode)
    path = tmp_path / ("p.tif" if mode in {"CMYK", "YCbCr"} else "p.png")
    picture.save(path)
    photo = read_photo(path)
    assert photo.shape == (40, 60, 3)
    assert photo.dtype == np.uint8
    if mode != "1":
        assert np.abs(photo.astype(int) - RAMP[..., None]).max() <= 3


def test_16_bit_photos_keep_their_range(tmp_path: Path) -> None:
    values = RAMP.astype(np.uint16) * 257
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert np.array_equal(read_photo(tmp_path / "deep.png")[..., 0], RAMP)


def test_exif_turns_the_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RAMP).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    photo = read_photo(tmp_path / "turned.jpg")
    assert photo.shape == (60, 40, 3)
    assert photo[0].mean() < 10
    assert photo[-1].mean() > 245


def jpeg_with_exif(path: Path, entries: list[tuple[int, int, int, bytes]], extra: bytes = b"") -> None:
    """Writes RAMP with a hand-made EXIF block; `entries` are (tag, type, count, 4 bytes), `extra` follows them."""
    whole = io.BytesIO()
    Image.fromarray(RAMP).convert("RGB").save(whole, "JPEG", quality=95)
    rows = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    tiff = b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + struct.pack("<I", 0) + extra
    block = b"Exif\0\0" + tiff
    content = whole.getvalue()
    path.write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + content[2:])


TURN = (0x112, 3, 1, struct.pack("<HH", 6, 0))


@pytest.mark.parametrize(
    ("entries", "extra"),
    [
        ([TURN], b""),
        ([TURN, (0x11A, 10, 1, struct.pack("<I", 8 + 2 + 24 + 4))], struct.pack("<ii", -1, 0)),  # -1/0
        ([TURN, (0x10F, 2, 4, b"\xff\xfe\xfd\xfc")], b""),
        ([TURN, (0x8769, 4, 1, struct.pack("<I", 60_000))], b""),  # a block beyond the end
        ([TURN, (0x9286, 7, 2**31, b"\0\0\0\0")], b""),
    ],
    ids=["sound", "rational", "text", "offset", "count"],
)
def test_broken_exif_data_does_not_hide_the_photo(
    tmp_path: Path, entries: list[tuple[int, int, int, bytes]], extra: bytes
) -> None:
    """Pillow raises `struct.error` or `TypeError` where it rewrites some of these blocks."""
    jpeg_with_exif(tmp_path / "a.jpg", entries, extra)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.shape == (60, 40, 3)
    assert photo[0].mean() < 10
    assert exif_orientation(tmp_path / "a.jpg") == 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as picture:
        expected = np.array(ImageOps.exif_transpose(picture))
    assert np.array_equal(read_photo(tmp_path / "a.png"), expected)
    assert np.array_equal(read_photo(tmp_path / "a.png", upright=False), pixels)


def test_heic_is_read_or_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has a ramp in red from left to right; libheif wrote it."""
    path = Path(__file__).parent / "files" / "ramp.heic"
    photo = read_photo(path)
    assert photo.shape == (48, 64, 3)
    assert np.abs(photo[..., 0].mean(axis=0) - np.linspace(0, 255, 64)).mean() < 8
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    formats_that_are_read.cache_clear()
    try:
        for name in ("ramp.heic", "IMG_0001.JPG"):  # phones also send HEIC under the name of a JPEG
            shutil.copy(path, tmp_path / name)
            with pytest.raises(PhotoError, match=rf"{name}: photos in HEIC need one more package: .*clothseg\[heic\]"):
                read_photo(tmp_path / name)
        with pytest.raises(PhotoError, match="the photo: photos in HEIC need one more package"):
            decode_photo(path.read_bytes(), Limits())
    finally:
        formats_that_are_read.cache_clear()


def test_formats_that_start_programs_are_not_opened(tmp_path: Path) -> None:
    for name, content in {
        "a.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "b.jpg": b"DDS " + bytes(124),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PhotoError, match="not a picture in a known format"):
            read_photo(tmp_path / name)


def test_photos_in_rare_formats_are_found_and_raw_ones_are_named(tmp_path: Path) -> None:
    for name in ("a.jfif", "b.avif", "c.jp2", "d.ppm", "e.heic", "f.NEF", "g.nef", "g.jpg", "h.txt"):
        (tmp_path / name).touch()
    for name in ("a.jfif", "b.avif", "c.jp2", "d.ppm"):
        Image.fromarray(RAMP).convert("RGB").save(tmp_path / name, "JPEG" if name == "a.jfif" else None)
    names = [path.name for path in find_photos([tmp_path])]
    assert names == ["a.jfif", "b.avif", "c.jp2", "d.ppm", "e.heic", "f.NEF", "g.jpg"]
    for name in names[:4]:
        assert read_photo(tmp_path / name).shape == (40, 60, 3)
    (tmp_path / "f.NEF").write_bytes(b"a raw photo")
    with pytest.raises(PhotoError, match=r"raw format .*export it as JPEG"):
        read_photo(tmp_path / "f.NEF")


@pytest.mark.parametrize("suffix", ["avif", "bmp", "gif", "jp2", "jpg", "png", "ppm", "tif", "webp"])
def test_damaged_photos_are_one_kind_of_error(tmp_path: Path, suffix: str) -> None:
    """Bytes are changed at random: the photo is read, or the error names it; nothing else is raised."""
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(
        whole, {"jp2": "JPEG2000", "jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
    )
    generator, path = np.random.default_rng(2), tmp_path / f"a.{suffix}"
    for _ in range(200):
        content = bytearray(whole.getvalue())
        first = int(generator.integers(2)) * min(200, len(content))
        for place in generator.integers(0, min(first or len(content), len(content)), int(generator.integers(1, 6))):
            content[place] = int(generator.integers(256))
        path.write_bytes(bytes(content[: int(generator.integers(len(content) // 2, len(content) + 1))]))
        try:
            assert read_photo(path).dtype == np.uint8
        except PhotoError as error:
            assert str(error).startswith(str(path))


@pytest.mark.parametrize("suffix", ["avif", "bmp", "gif", "jp2", "jpg", "png", "ppm", "tif", "webp"])
def test_the_quick_check_finds_each_photo_that_cannot_be_read(tmp_path: Path, suffix: str) -> None:
    """Training begins with photos that pass it, so it must refuse what reading refuses."""
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (96, 80, 3), dtype=np.uint8)).save(
        whole, {"jp2": "JPEG2000", "jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
    )
    generator, path, refused = np.random.default_rng(3), tmp_path / f"a.{suffix}", 0
    for _ in range(60):
        content = bytearray(whole.getvalue())
        content[int(generator.integers(len(content)))] ^= 0xFF
        path.write_bytes(bytes(content[: int(generator.integers(len(content) // 2, 2 * len(content)))]))
        photo = try_read_photo(path)
        if isinstance(photo, PhotoError):
            refused += 1
            with pytest.raises(PhotoError):
                check_photo(path, (96, 80))
    assert refused


def test_transparent_becomes_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    assert (read_photo(tmp_path / "clear.png") == 255).all()


def test_a_web_address_is_named_as_it_was_given() -> None:
    with pytest.raises(PhotoError, match=r"^https://shop\.org/a\.jpg: a web address"):
        read_photo("https://shop.org/a.jpg")


def test_the_error_names_the_file(tmp_path: Path) -> None:
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)).save(whole, "JPEG")
    for name, content in {"empty.jpg": b"", "text.jpg": b"no picture", "cut.jpg": whole.getvalue()[:2000]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PhotoError, match=name):
            read_photo(tmp_path / name)
    with pytest.raises(PhotoError, match="no such photo"):
        read_photo(tmp_path / "missing.jpg")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_arrays_are_turned_as_pillow_turns_photos(orientation: int) -> None:
    stored = np.arange(12, dtype=np.uint8).reshape(3, 4)
    picture = Image.fromarray(stored)
    picture.getexif()[0x0112] = orientation
    assert (turn_upright(stored, orientation) == np.asarray(ImageOps.exif_transpose(picture))).all()


@pytest.mark.skipif(os.sep != "/", reason="on Windows both signs separate folders")
def test_a_path_of_windows_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop").mkdir()
    Image.new("RGB", (8, 8)).save("shop/a.png")
    with pytest.raises(PhotoError, match=r"no such photo; did you mean shop/a\.png\? Here / separates folders$"):
        read_photo("shop\\a.png")
