"""The file of a photo, by every kind of name that tools write."""

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from clothseg.dataset.reading.photo_files import PhotoFiles, photo_size

from .conftest import draw


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for n, name in enumerate(("1.jpg", "a b.jpg", "summer/1.jpg", unicodedata.normalize("NFC", "Öl.jpg"), "50%.jpg")):
        draw(tmp_path / "images" / name, n)
    return tmp_path / "images"


@pytest.mark.parametrize(
    ("name", "found", "changed"),
    [
        ("1.jpg", "1.jpg", False),
        ("summer/1.jpg", "summer/1.jpg", False),
        ("summer\\1.jpg", "summer/1.jpg", False),
        ("50%.jpg", "50%.jpg", False),
        ("images/1.jpg", "1.jpg", True),
        ("/home/a/b/summer/1.jpg", "summer/1.jpg", True),
        ("C:\\photos\\summer\\1.jpg", "summer/1.jpg", True),
        ("http://host:8080/data/upload/3/summer/1.jpg?token=x", "summer/1.jpg", True),
        ("s3://bucket/images/1.jpg", "1.jpg", True),
        ("/data/local-files/?d=shop/images/summer/1.jpg", "summer/1.jpg", True),
        ("/data/local-files/?d=a%20b.jpg", "a b.jpg", True),
        ("a%20b.jpg", "a b.jpg", True),
        ("SUMMER/1.JPG", "summer/1.jpg", True),
        (unicodedata.normalize("NFD", "Öl.jpg"), unicodedata.normalize("NFC", "Öl.jpg"), True),
        ("../../etc/1.jpg", "1.jpg", True),
    ],
)
def test_names(name: str, found: str, changed: bool, folder: Path) -> None:
    assert PhotoFiles([folder]).find(name) == (folder / found, changed)


@pytest.mark.parametrize("name", ["2.jpg", "x" * 5000, "\0", "http://[x/1", "?d=", "/", "summer", "winter/summer"])
def test_a_photo_that_is_not_there(name: str, folder: Path) -> None:
    assert PhotoFiles([folder]).find(name) == (folder / name, False)


def test_names_that_only_case_tells_apart_are_not_guessed(folder: Path) -> None:
    draw(folder / "B.jpg", 1)
    draw(folder / "b.jpg", 2)
    if len({path.name for path in folder.glob("[bB].jpg")}) < 2:
        pytest.skip("this file system ignores the case of names")
    files = PhotoFiles([folder])
    assert files.find("b.jpg") == (folder / "b.jpg", False)
    assert files.find("x/B.JPG") == (folder / "x/B.JPG", False)


def test_the_first_folder_wins(folder: Path, tmp_path: Path) -> None:
    draw(tmp_path / "other" / "1.jpg", 5)
    assert PhotoFiles([tmp_path / "other", folder]).find("z/1.jpg") == (tmp_path / "other" / "1.jpg", True)


def test_the_size_is_that_of_the_upright_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert photo_size(tmp_path / "turned.jpg") == (40, 20)
    assert photo_size(tmp_path / "none.jpg") is None
