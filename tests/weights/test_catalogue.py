"""Downloads against a local server: progress, going on, checking, and what is said when there is no network."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clothseg.errors import WeightsError
from clothseg.weights import PUBLISHED, Published, fetch, published
from clothseg.weights.download import download

CONTENT = bytes(range(256)) * 12_000


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT by ranges; `/cut` stops in the middle of the first answer, `/whole` knows no ranges."""

    asked: list[tuple[str, str | None]] = []  # noqa: RUF012 - emptied by each test

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append((self.path, wanted))
        if self.path == "/gone":
            self.send_error(404)
            return
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and self.path != "/whole" else 0
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        cut = self.path == "/cut" and len(self.asked) == 1
        self.wfile.write(CONTENT[start : len(CONTENT) // 2] if cut else CONTENT[start:])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    Handler.asked.clear()
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_file_is_fetched_once_with_progress_and_checked(server: str, tmp_path: Path) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    entry = Published(f"{server}/weights.pth", 3, "MIT", "a test", digest[:8])
    told: list[tuple[int, int | None]] = []
    path = fetch(entry, tmp_path / "cache", lambda done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert len(told) > 1
    assert [p.name for p in path.parent.iterdir()] == ["weights.pth"]
    assert fetch(entry, tmp_path / "cache") == path
    assert len(Handler.asked) == 1


def test_a_cut_download_goes_on_where_it_stopped(server: str, tmp_path: Path) -> None:
    download(f"{server}/cut", tmp_path / "w.pth", hashlib.sha256(CONTENT).hexdigest(), wait=0)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT
    ranges = [wanted for _, wanted in Handler.asked]
    assert ranges[0] is None
    assert ranges[1] is not None
    assert 0 < int(ranges[1].removeprefix("bytes=").rstrip("-")) <= len(CONTENT) // 2


@pytest.mark.parametrize(("path", "there"), [("/a", len(CONTENT)), ("/whole", 1000), ("/a", len(CONTENT) + 5)])
def test_what_lies_there_of_before_does_no_harm(server: str, path: str, there: int, tmp_path: Path) -> None:
    (tmp_path / "w.pth.part").write_bytes((CONTENT + b"more!")[:there])
    download(server + path, tmp_path / "w.pth", hashlib.sha256(CONTENT).hexdigest(), wait=0)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


def test_another_content_is_refused_and_removed(server: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="should begin with 00000000"):
        download(f"{server}/a", tmp_path / "w.pth", "00000000", wait=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/mask_rcnn_coco.h5", "{server}/gone"])
def test_without_the_network_the_way_by_hand_is_told(url: str, server: str, tmp_path: Path) -> None:
    url = url.format(server=server)
    with pytest.raises(WeightsError) as caught:
        download(url, tmp_path / "w.pth", wait=0)
    message = str(caught.value)
    assert url in message
    assert str(tmp_path / "w.pth") in message
    assert "path instead of the name" in message
    assert not (tmp_path / "w.pth").exists()


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
