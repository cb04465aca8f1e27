"""Downloads from a local server: resumed, checked, and what is said when there is no network."""

import hashlib
from pathlib import Path

import pytest

from clothseg.errors import WeightsError
from clothseg.weights.download import download


def test_a_cut_download_is_resumed_where_it_stopped(
    server: str, content: bytes, asked: list[tuple[str, str | None]], tmp_path: Path
) -> None:
    download(f"{server}/cut", tmp_path / "w.pth", hashlib.sha256(content).hexdigest(), wait=0)
    assert (tmp_path / "w.pth").read_bytes() == content
    ranges = [wanted for _, wanted in asked]
    assert ranges[0] is None
    assert ranges[1] is not None
    assert 0 < int(ranges[1].removeprefix("bytes=").rstrip("-")) <= len(content) // 2


@pytest.mark.parametrize(("path", "there"), [("/a", slice(-5)), ("/whole", slice(1000)), ("/a", slice(None))])
def test_what_is_left_of_an_earlier_download_does_no_harm(
    server: str, content: bytes, path: str, there: slice, tmp_path: Path
) -> None:
    """All of it, its first part, or more than it is."""
    (tmp_path / "w.pth.part").write_bytes((content + b"more!")[there])
    download(server + path, tmp_path / "w.pth", hashlib.sha256(content).hexdigest(), wait=0)
    assert (tmp_path / "w.pth").read_bytes() == content


def test_other_content_is_refused_and_removed(server: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="should begin with 00000000"):
        download(f"{server}/a", tmp_path / "w.pth", "00000000", wait=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/mask_rcnn_coco.h5", "{server}/gone"])
def test_without_a_network_the_message_says_what_to_do_by_hand(url: str, server: str, tmp_path: Path) -> None:
    url = url.format(server=server)
    with pytest.raises(WeightsError) as caught:
        download(url, tmp_path / "w.pth", wait=0)
    message = str(caught.value)
    assert url in message
    assert str(tmp_path / "w.pth") in message
    assert "path instead of the name" in message
    assert not (tmp_path / "w.pth").exists()
