"""Published weights: their names, and the download of each file, once."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from clothseg.errors import WeightsError
from clothseg.weights import PUBLISHED, Published, fetch, published


def test_a_file_is_downloaded_once_with_progress_and_checked(serve: Any, tmp_path: Path) -> None:
    content = bytes(range(256)) * 12_000
    site = serve({"weights.pth": content})
    entry = Published(f"{site.url}/weights.pth", 3, "MIT", "a test", hashlib.sha256(content).hexdigest()[:8])
    progress: list[tuple[int, int | None]] = []
    path = fetch(entry, tmp_path / "cache", lambda done, total: progress.append((done, total)))
    assert path.read_bytes() == content
    assert progress[-1] == (len(content), len(content))
    assert len(progress) > 1
    assert [p.name for p in path.parent.iterdir()] == ["weights.pth"]
    assert fetch(entry, tmp_path / "cache") == path
    assert len(site.log) == 1


def test_names_of_the_catalogue() -> None:
    assert published("imagenet", "resnet101") is PUBLISHED["imagenet-resnet101"]
    assert published("coco-matterport").file_name == "mask_rcnn_coco.h5"
    assert published("coco").sha256 == "bf2d0c1e"
    with pytest.raises(WeightsError, match=r"'cocoo' is not a name .*did you mean coco or coco-v2"):
        published("cocoo")
    with pytest.raises(WeightsError, match=r"'xyz' is not a name .*coco-detectron2-r101"):
        published("xyz")
    for entry in PUBLISHED.values():
        assert entry.url.startswith("https://")
        assert entry.licence
        assert entry.mib > 10


def test_without_the_file_the_message_says_what_to_do(serve: Any, tmp_path: Path) -> None:
    entry = Published(f"{serve({}).url}/mask_rcnn_coco.h5", 3, "MIT", "a test")
    with pytest.raises(WeightsError) as caught:
        fetch(entry, tmp_path)
    message = str(caught.value)
    assert entry.url in message
    assert str(tmp_path / entry.file_name) in message
    assert "path instead of the name" in message
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_no_fault_of_the_network(serve: Any, tmp_path: Path) -> None:
    site = serve({"weights.pth": b"abc"})
    (tmp_path / "cache").write_bytes(b"a file in place of the folder")
    with pytest.raises(
        WeightsError, match=r"weights\.pth: the file cannot be written \(.*change the rights of the folder"
    ):
        fetch(Published(f"{site.url}/weights.pth", 3, "MIT", "a test"), tmp_path / "cache")


def test_other_content_is_refused_and_removed(serve: Any, tmp_path: Path) -> None:
    site = serve({"weights.pth": b"other"})
    with pytest.raises(WeightsError, match="should begin with 00000000"):
        fetch(Published(f"{site.url}/weights.pth", 3, "MIT", "a test", "00000000"), tmp_path)
    assert list(tmp_path.iterdir()) == []
