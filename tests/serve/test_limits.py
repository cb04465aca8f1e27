"""Broken, large and slow requests, and more requests than the queue takes."""

import gzip
import socket
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from bad_photos import bad_photos, odd_photos

from clothseg.instances import Instances
from clothseg.photos import RgbImage
from clothseg.serve import Limits

from .conftest import Client, Start, find, picture, until

BOTH = pytest.mark.parametrize("as_form", [False, True], ids=["raw", "form"])


def send(client: Client, content: bytes, *, as_form: bool = False) -> Any:
    if as_form:
        return client.post("/predict", files={"photo": ("a.jpg", content)})
    return client.post("/predict", content=content)


@BOTH
def test_every_broken_photo_gets_a_reason(client: Client, tmp_path: Path, as_form: bool) -> None:
    names = [name for name in bad_photos(tmp_path) if (tmp_path / name).is_file()]
    assert len(names) >= 10
    for name in names:
        answer = send(client, (tmp_path / name).read_bytes(), as_form=as_form)
        assert answer.status_code == 400, name
        message = answer.json()["error"]
        assert "photo" in message, name
        assert str(tmp_path) not in message
    assert send(client, picture(), as_form=as_form).status_code == 200


def test_unusual_photos_are_read(client: Client, tmp_path: Path) -> None:
    for name in odd_photos(tmp_path):
        assert send(client, (tmp_path / name).read_bytes()).json()["width"] == 96, name


@BOTH
def test_a_photo_with_too_many_pixels_is_refused_before_it_is_decoded(start: Start, as_form: bool) -> None:
    client = start(limits=Limits(photo_pixels=10_000))
    answer = send(client, picture(size=(104, 104), form="PNG"), as_form=as_form)
    assert answer.status_code == 400
    assert "104 x 104 pixels" in answer.json()["error"]
    assert send(client, picture(size=(96, 96), form="PNG"), as_form=as_form).status_code == 200


def test_a_decompression_bomb_is_named_with_the_limit_of_the_server(client: Client, tmp_path: Path) -> None:
    bad_photos(tmp_path)
    answer = send(client, (tmp_path / "bad-bomb.png").read_bytes())
    assert answer.status_code == 400
    assert answer.json()["error"] == "the photo has more than 50 million pixels; make it smaller"


@BOTH
def test_a_body_that_is_too_large_is_refused(start: Start, as_form: bool) -> None:
    client = start(limits=Limits(photo_bytes=100_000))
    answer = send(client, bytes(300_000), as_form=as_form)
    assert answer.status_code == 413
    assert "MB" in answer.json()["error"]


def test_a_body_without_a_length_is_counted_while_it_arrives(start: Start) -> None:
    client = start(limits=Limits(photo_bytes=100_000))
    assert client.post("/predict", content=iter([bytes(50_000)] * 6)).status_code == 413
    whole = picture()
    assert client.post("/predict", content=iter([whole[:1000], whole[1000:]])).status_code == 200


@pytest.mark.parametrize("address", ["/predict", "/cutout?instance=0", "/preview", "/compose", "/labels?format=coco"])
@pytest.mark.parametrize("encoding", ["gzip", "br", "Deflate, gzip"])
def test_a_compressed_body_is_refused_and_the_reason_is_clear(client: Client, address: str, encoding: str) -> None:
    answer = client.post(address, content=gzip.compress(picture()), headers={"Content-Encoding": encoding})
    assert answer.status_code == 415
    assert answer.headers["Accept-Encoding"] == "identity"  # RFC 7694
    assert answer.json()["error"] == (
        f"the body is compressed (Content-Encoding: {encoding}), and this server takes it only as it is; send it "
        "without this header and uncompressed"
    )


def test_a_large_compressed_body_is_answered(start: Start) -> None:
    """A client that is still sending does not see the answer."""
    client = start(limits=Limits(photo_bytes=1 << 23))
    answer = client.post("/predict", content=bytes(1 << 23), headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415


def test_a_body_that_says_that_it_is_not_compressed_is_taken(client: Client) -> None:
    answer = client.post("/predict", content=picture(), headers={"Content-Encoding": "identity"})
    assert answer.status_code == 200


def test_a_broken_form_is_answered_and_not_printed(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/predict", content=b"no form at all", headers=headers)
    assert answer.status_code == 400 and answer.json()["error"]
    assert not caplog.records


def test_a_form_has_few_parts(client: Client) -> None:
    many = [("photo", (f"{n}.jpg", picture())) for n in range(3)]
    assert client.post("/predict", files=many).status_code == 400
    assert (
        client.post("/predict", data={f"f{n}": "x" for n in range(50)}, files={"photo": picture()}).status_code == 400
    )
    assert client.post("/predict", files={"image": picture()}).json()["error"].startswith("there is no photo")
    broken = {"Content-Type": "multipart/form-data"}
    assert client.post("/predict", content=b"--x", headers=broken).status_code == 400
    torn = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/predict", content=b"--x\r\nContent-Disp", headers=torn).status_code == 400


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/predict?score_threshold=2", "score_threshold"),
        ("/predict?score_threshold=nan", "score_threshold"),
        ("/predict?path=/etc/passwd", "path"),
        ("/cutout", "instance"),
        ("/cutout?instance=-1", "instance"),
        ("/cutout?instance=x", "instance"),
        ("/compose?width=1e9", "width"),
        ("/labels?format=../x", "format"),
    ],
)
def test_wrong_parameters_are_named(client: Client, address: str, name: str) -> None:
    answer = client.post(address, content=picture())
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"{name}: ")


def test_a_body_that_never_ends_gives_its_place_back(start: Start) -> None:
    client = start(limits=Limits(body_seconds=0.3, queue=1))
    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as slow:
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nslow")
        assert b" 408 " in slow.recv(4096)
    assert send(client, picture()).status_code == 200


def test_nothing_is_written_to_the_disk(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))  # a temporary file would be an error
    client = start()
    large = picture(size=(1600, 1600), form="PNG")
    assert len(large) > 2 * (1 << 20)  # Starlette's own limit for files in memory is 1 MB
    assert send(client, large, as_form=True).status_code == 200


class Gate:
    """A detector that waits until it may go on, and counts."""

    def __init__(self) -> None:
        self.open, self.entered, self.photos = threading.Event(), threading.Event(), 0

    def __call__(self, photos: Sequence[RgbImage]) -> list[Instances]:
        if photos[0].shape[:2] != (64, 64):  # not that of the start
            self.entered.set()
            assert self.open.wait(30)
            self.photos += 1
        return find(photos)


def test_a_full_queue_says_when_to_come_back(start: Start) -> None:
    gate = Gate()
    client = start(find=gate, limits=Limits(queue=2))
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(send, client, picture())
        assert gate.entered.wait(30)
        others = [pool.submit(send, client, picture(n)) for n in range(1, 7)]
        until(lambda: sum(future.done() for future in others) == 4)  # 1 in work, 2 wait
        refused = [future.result() for future in others if future.done()]
        gate.open.set()
        accepted = [first.result(), *(future.result() for future in others if future not in refused)]
    assert {answer.status_code for answer in refused} == {429}
    assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in refused)
    assert sorted(answer.status_code for answer in accepted) == [200] * 3 + [429] * 4
    assert gate.photos == 3
    assert send(client, picture(9)).status_code == 200


def test_the_queue_is_bounded_in_bytes(start: Start) -> None:
    gate = Gate()
    client = start(find=gate, limits=Limits(queue_bytes=100_000))
    heavy = picture(size=(400, 400), form="BMP")
    assert len(heavy) > 100_000
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(send, client, heavy)  # alone, it is not refused
        assert gate.entered.wait(30)
        assert send(client, heavy).status_code == 429
        gate.open.set()
        assert first.result().status_code == 200


def test_work_for_a_client_that_has_left_is_not_done(start: Start) -> None:
    gate = Gate()
    client = start(find=gate)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(send, client, picture())
        assert gate.entered.wait(30)
        body = picture(5)
        with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as leaving:
            head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
            leaving.sendall(head.encode() + body)
            threading.Event().wait(0.3)  # it arrives, and waits in the queue
        gate.open.set()
        assert first.result().status_code == 200
    assert send(client, picture(6)).status_code == 200
    assert gate.photos == 2


def test_an_unexpected_error_is_reported_once_and_the_server_goes_on(start: Start) -> None:
    seen: list[BaseException] = []

    def broken(photos: Sequence[RgbImage]) -> list[Instances]:
        if photos[0].shape[1] == 104:
            raise KeyError("secret path")
        return find(photos)

    client = start(find=broken, report=seen.append)
    answer = send(client, picture(size=(104, 96)))
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert [type(error) for error in seen] == [KeyError]
    assert send(client, picture()).status_code == 200


def test_memory_that_runs_out_is_the_photos_fault(start: Start) -> None:
    def hungry(photos: Sequence[RgbImage]) -> list[Instances]:
        raise MemoryError

    answer = send(start(find=hungry), picture())
    assert answer.status_code == 413
    assert "memory ran out" in answer.json()["error"]
