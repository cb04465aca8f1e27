"""Finding photos: files, folders, patterns and datasets."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clothseg.dataset.photo_search import find_photos, with_photos_below
from clothseg.errors import DataError, PhotoError
from clothseg.photos import SUFFIXES, read_photo


@pytest.mark.parametrize("name", ["x" * 300 + ".jpg", "x" * 5000, "a\0.jpg"])
def test_a_name_that_no_file_can_have_is_a_missing_photo(name: str, tmp_path: Path) -> None:
    """`Path.is_file` and `Path.is_symlink` raise OSError or ValueError for some of them."""
    good = tmp_path / "a.png"
    Image.new("RGB", (4, 3)).save(good)
    with pytest.raises(PhotoError, match="no such photo"):
        read_photo(tmp_path / name)
    assert find_photos([tmp_path / name, good]) == [tmp_path / name, good]


def test_a_folder_that_may_not_be_searched_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may search every folder, so the system's refusal is imitated."""
    locked = tmp_path / "photos" / "locked"
    locked.mkdir(parents=True)
    Image.new("RGB", (4, 3)).save(tmp_path / "photos" / "a.png")
    real_scandir, real_access = os.scandir, os.access

    def scandir(place: str) -> Any:
        if Path(place) == locked:
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return real_scandir(place)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != locked and real_access(place, mode))
    for inputs, recursive in (([tmp_path / "photos"], True), ([tmp_path / "photos" / "a.png", locked], False)):
        found = find_photos(inputs, recursive=recursive)
        assert sorted(path.name for path in found) == ["a.png", "locked"]
    with pytest.raises(PhotoError, match="locked: no permission to look into this folder"):
        read_photo(locked)


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
        ("*.gif", "no file matches this pattern"),
        ("x.jpg", "no such"),
        ("deep", "--recursive searches"),
    ):
        with pytest.raises(PhotoError, match=message):
            found(wrong)


def test_a_folder_with_more_photos_below_is_known(tmp_path: Path) -> None:
    for name in (
        "both/a.jpg",
        "both/b/c/d.JPG",
        "flat/a.jpg",
        "flat/notes/b.txt",
        "flat/.hidden/c.jpg",
        "deep/b/a.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "deep" / "x.jpg").mkdir()  # a folder that has the name of a photo
    places = [tmp_path / name for name in ("both", "flat", "deep", "both/a.jpg", "missing")]
    assert with_photos_below(places) == [tmp_path / "both"]


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


def test_a_dataset_stands_for_the_photos_that_it_lists(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for folder in (data / "images", data / "annotations"):
        folder.mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "c.jpg", "not-listed.jpg"):
        Image.new("RGB", (4, 3)).save(data / "images" / name)
    for split, names in (("train", "ab"), ("val", "c")):
        images = [{"id": i, "file_name": f"{name}.jpg", "width": 4, "height": 3} for i, name in enumerate(names, 1)]
        rows = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "Dress"}]}
        (data / "annotations" / f"{split}.json").write_text(json.dumps(rows))

    def found(*inputs: Path, split: str | None = None, recursive: bool = False) -> str:
        paths = find_photos(inputs, datasets=True, split=split, recursive=recursive)
        return " ".join(path.stem for path in paths)

    assert found(data) == "a b c"
    assert found(data, split="val") == "c"
    assert found(data / "annotations" / "train.json", data / "images" / "c.jpg") == "a b c"
    assert found(data / "images") == "a b c not-listed", "photos directly in a folder are all taken"
    assert found(data, recursive=True) == "a b c not-listed"
    with pytest.raises(DataError, match="test"):
        found(data, split="test")
    with pytest.raises(PhotoError, match="no photos in this folder"):
        find_photos([data])


def test_a_split_of_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    """It would be ignored, and all photos taken."""
    Image.new("RGB", (4, 3)).save(tmp_path / "a.jpg")
    for place in (tmp_path, tmp_path / "a.jpg"):
        with pytest.raises(DataError, match=r"--split val: .*: not a COCO dataset, so there are no splits"):
            find_photos([place], datasets=True, split="val")
    with pytest.raises(DataError, match="--split val: only of datasets, and not with --recursive"):
        find_photos([tmp_path], datasets=True, split="val", recursive=True)
    with pytest.raises(PhotoError, match="absent"):
        find_photos([tmp_path / "absent"], datasets=True, split="val")
