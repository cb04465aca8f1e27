"""Published weights: their names, and fetching each once."""

import hashlib
from pathlib import Path

import pytest

from clothseg.errors import WeightsError
from clothseg.weights import PUBLISHED, Published, fetch, published


def test_a_file_is_fetched_once_with_progress_and_checked(
    server: str, content: bytes, asked: list[tuple[str, str | None]], tmp_path: Path
) -> None:
    digest = hashlib.sha256(content).hexdigest()
    entry = Published(f"{server}/weights.pth", 3, "MIT", "a test", digest[:8])
    told: list[tuple[int, int | None]] = []
    path = fetch(entry, tmp_path / "cache", lambda done, total: told.append((done, total)))
    assert path.read_bytes() == content
    assert told[-1] == (len(content), len(content))
    assert len(told) > 1
    assert [p.name for p in path.parent.iterdir()] == ["weights.pth"]
    assert fetch(entry, tmp_path / "cache") == path
    assert len(asked) == 1


def test_names_of_the_catalogue() -> None:
    assert published("imagenet", "resnet101") is PUBLISHED["imagenet-resnet101"]
    assert published("coco-matterport").file_name == "mask_rcnn_coco.h5"
    assert published("coco").sha256 == "bf2d0c1e"
    with pytest.raises(WeightsError, match="coco-detectron2-r101"):
        published("cocoo")
    for entry in PUBLISHED.values():
        assert entry.url.startswith("https://")
        assert entry.licence
        assert entry.mib > 10
