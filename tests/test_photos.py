"""Photos in every format, files that are not photos, and the search for photos."""

import io
import os
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from clothseg.errors import PhotoError
from clothseg.photos import SUFFIXES, find_photos, read_photo

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


def test_transparent_becomes_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    assert (read_photo(tmp_path / "clear.png") == 255).all()


def test_the_error_names_the_file(tmp_path: Path) -> None:
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)).save(whole, "JPEG")
    for name, content in {"empty.jpg": b"", "text.jpg": b"no picture", "cut.jpg": whole.getvalue()[:2000]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PhotoError, match=name):
            read_photo(tmp_path / name)
    with pytest.raises(PhotoError, match="no such photo"):
        read_photo(tmp_path / "missing.jpg")


def test_folders_are_searched(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [p.name for p in find_photos([tmp_path])] == ["a.png", "b.JPG"]
    (tmp_path / "none").mkdir()
    (tmp_path / ".hidden.jpg").write_bytes(b"")
    assert [p.name for p in find_photos([tmp_path / "b.JPG", tmp_path, tmp_path / "none" / ".." / "a.png"])] == [
        "b.JPG",
        "a.png",
    ]
    with pytest.raises(PhotoError, match="no photos in this folder"):
        find_photos([tmp_path / "none"])


def test_folders_in_folders_and_patterns(tmp_path: Path) -> None:
    for name in (
        "a.jpg",
        "b/c.png",
        "b/d/e.JPG",
        "b/.hidden/f.jpg",
        "b/notes.txt",
        "b/g.mp4",
        "odd[1].jpg",
        "deep/h/i.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")

    def found(*inputs: str, recursive: bool = False, suffixes: frozenset[str] = SUFFIXES) -> list[str]:
        places = [tmp_path / place for place in inputs]
        return [p.relative_to(tmp_path).as_posix() for p in find_photos(places, recursive=recursive, suffixes=suffixes)]

    assert found(".") == ["a.jpg", "odd[1].jpg"]
    assert found(".", recursive=True) == ["a.jpg", "b/c.png", "b/d/e.JPG", "deep/h/i.jpg", "odd[1].jpg"]
    assert found("b/*", "a.jpg") == ["b/c.png", "b/d/e.JPG", "a.jpg"]
    assert found("**/*.JPG") == ["b/d/e.JPG"]
    assert found("b/*", suffixes=SUFFIXES | {".mp4"}) == ["b/c.png", "b/g.mp4", "b/d/e.JPG"]
    assert found("?.jpg", "a.jpg", "b/../a.jpg") == ["a.jpg"]
    assert found("odd[1].jpg") == ["odd[1].jpg"], "a file of that name takes precedence over the pattern"
    for wrong, message in (
        ("*.gif", "nothing with a known suffix"),
        ("x.jpg", "no such"),
        ("deep", "--recursive searches"),
    ):
        with pytest.raises(PhotoError, match=message):
            found(wrong)


def test_two_spellings_of_one_file_are_one_photo(tmp_path: Path) -> None:
    """Hard links imitate a file system that ignores case; `copy.jpg`, with another name, is another photo."""
    (tmp_path / "A.jpg").write_bytes(b"x")
    for name in ("a.JPG", "copy.jpg"):
        os.link(tmp_path / "A.jpg", tmp_path / name)
    inputs = [tmp_path / name for name in ("a.JPG", "A.jpg", "copy.jpg")]
    assert find_photos(inputs) == [tmp_path / "a.JPG", tmp_path / "copy.jpg"]


def test_capitals_come_first_on_every_system(tmp_path: Path) -> None:
    (tmp_path / "b-d").mkdir()
    (tmp_path / "b").mkdir()
    for name in ("a.jpg", "B.jpg", "b-d/a.jpg", "b/z.jpg"):
        (tmp_path / name).write_bytes(b"x")
    found = [path.relative_to(tmp_path).as_posix() for path in find_photos([tmp_path], recursive=True)]
    assert found == ["B.jpg", "a.jpg", "b/z.jpg", "b-d/a.jpg"]
