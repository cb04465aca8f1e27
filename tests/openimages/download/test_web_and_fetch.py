"""Requests and whole files against a server that misbehaves."""

import base64
import email.utils
import hashlib
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from clothseg.errors import DataError, DownloadError, GoneError
from clothseg.openimages.download import RetryPolicy
from clothseg.openimages.download.fetch import fetch_file
from clothseg.openimages.download.web import NoRangesError, Remote, StoppedError, Web

BODY = random.Random(7).randbytes(3_000_000)


def fetch(site: Any, retry_policy: RetryPolicy, tmp_path: Path, name: str = "big.bin", **how: Any) -> bytes:
    with Web(retry_policy, 4) as web:
        remote = Remote(f"{site.url}/{name}", None, True, None)
        md5 = fetch_file(web, remote, tmp_path / "out" / name, tmp_path / "parts", **how)
    content = (tmp_path / "out" / name).read_bytes()
    assert md5 == hashlib.md5(content).hexdigest()
    assert list((tmp_path / "parts").iterdir()) == []
    return content


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_status_that_passes_is_waited_out(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path, status: int
) -> None:
    site = serve({"big.bin": b"content"})
    site.rule = lambda path, count: fault(status=status) if count < 3 else None
    assert fetch(site, retry_policy, tmp_path) == b"content"
    assert len(site.log) == 4


@pytest.mark.parametrize("status", [500, 429])
def test_a_status_that_stays_is_given_up_with_the_reason(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path, status: int
) -> None:
    site = serve({"big.bin": b"content"})
    site.always(fault(status=status))
    with pytest.raises(DownloadError, match=rf"big\.bin: given up after 4 tries: status {status}"):
        fetch(site, retry_policy, tmp_path)
    assert len(site.log) == 4
    assert not (tmp_path / "out" / "big.bin").exists()


@pytest.mark.parametrize("status", [404, 403, 410])
def test_what_is_gone_is_asked_for_once(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path, status: int
) -> None:
    site = serve({"big.bin": b"content"})
    site.always(fault(status=status))
    with pytest.raises(GoneError, match=f"status {status}"):
        fetch(site, retry_policy, tmp_path)
    assert len(site.log) == 1


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_obeyed(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path, as_date: bool
) -> None:
    site = serve({"big.bin": b"content"})
    until = int(time.time()) + 2
    asked = email.utils.formatdate(until, usegmt=True) if as_date else "1"
    site.once(fault(status=429, headers={"Retry-After": asked}))
    assert fetch(site, retry_policy, tmp_path) == b"content"
    assert len(site.log) == 2
    assert time.time() >= until if as_date else site.log[1][3] - site.log[0][3] >= 0.95


def test_a_server_that_asks_for_hours_is_told_and_given_up(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve({"big.bin": b"content"})
    site.always(fault(status=503, headers={"Retry-After": "7200"}))
    with pytest.raises(DownloadError, match="asks to wait 7200 s"):
        fetch(site, retry_policy, tmp_path)


def test_a_dropped_connection_goes_on_where_it_was(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve({"big.bin": BODY})
    # Far more drops than tries are allowed, but each brings the file on by more than a megabyte.
    site.rule = lambda path, count: fault(drop_after=1_200_000) if count < 2 else None
    assert fetch(site, RetryPolicy(attempts=2, first_wait=0.01), tmp_path) == BODY
    starts = [int((line[1] or "bytes=0-")[6:-1]) for line in site.log]
    assert starts[0] == 0
    assert 0 < starts[1] < starts[2]
    assert all(line[2] for line in site.log[1:]), "If-Range goes along"


def test_without_ranges_a_drop_begins_anew_and_ends_in_the_end(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve({"big.bin": BODY}, ranges=False)
    site.once(fault(drop_after=2_000_000))
    assert fetch(site, retry_policy, tmp_path) == BODY
    site.always(fault(drop_after=2_000_000))
    (tmp_path / "out" / "big.bin").unlink()
    with pytest.raises(DownloadError, match="given up"):
        fetch(site, retry_policy, tmp_path)
    assert not (tmp_path / "out" / "big.bin").exists()


def test_without_a_validator_nothing_is_continued(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve({"big.bin": BODY}, etags=False)
    site.once(fault(drop_after=2_000_000))
    assert fetch(site, retry_policy, tmp_path) == BODY
    assert [line[1] for line in site.log] == [None, None]


@pytest.mark.parametrize("change", [False, True])
def test_another_process_goes_on_and_a_changed_file_begins_anew(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path, change: bool
) -> None:
    site = serve({"big.bin": BODY})
    site.always(fault(drop_after=1_500_000))
    with pytest.raises(DownloadError), Web(RetryPolicy(attempts=1), 1) as web:
        fetch_file(web, web_file(site), tmp_path / "out" / "big.bin", tmp_path / "parts")
    left = sorted(path.name for path in (tmp_path / "parts").iterdir())
    assert left == ["out__big.bin.part", "out__big.bin.part.json"]
    if change:
        site.files["big.bin"] = BODY[::-1]
    site.rule = lambda path, count: None
    site.sent = 0
    assert fetch(site, retry_policy, tmp_path) == site.files["big.bin"]
    assert site.log[-1][1] is not None
    assert site.sent == (len(BODY) if change else pytest.approx(len(BODY) - 1_500_000, abs=200_000))


def web_file(site: Any) -> Remote:
    return Remote(f"{site.url}/big.bin", None, True, None)


def test_a_part_longer_than_the_file_or_without_a_note_is_thrown_away(
    serve: Any, retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve({"big.bin": BODY})
    for note in (None, {"validator": '"x"'}, ["no note"]):
        (tmp_path / "parts").mkdir(exist_ok=True)
        (tmp_path / "parts" / "out__big.bin.part").write_bytes(b"junk" * 1_000_000)
        if note:
            (tmp_path / "parts" / "out__big.bin.part.json").write_text(json.dumps(note))
        assert fetch(site, retry_policy, tmp_path) == BODY


def test_lengths_that_are_wrong(serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path) -> None:
    site = serve({"big.bin": BODY})
    for wrong in (fault(extra_length=1000), fault(no_length=True, drop_after=1000, headers={"Content-Length": "5000"})):
        site.counts.clear()
        site.once(wrong)
        assert fetch(site, retry_policy, tmp_path) == BODY
    site.always(fault(extra_length=1000))
    with pytest.raises(DownloadError, match="given up"):
        fetch(site, retry_policy, tmp_path)
    # A body that ends without a word, where the size is known from before.
    site.counts.clear()
    site.once(fault(no_length=True, body=BODY[:1000]))
    with Web(retry_policy, 1) as web:
        fetch_file(web, Remote(web_file(site).url, len(BODY), True, None), tmp_path / "x", tmp_path / "parts")
    assert (tmp_path / "x").read_bytes() == BODY


def test_a_wrong_checksum_is_fetched_again_and_then_told(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    good = base64.b64encode(hashlib.md5(BODY).digest()).decode()
    site = serve({"big.bin": BODY})
    site.once(fault(body=BODY[:-1] + b"?", headers={"x-goog-hash": f"crc32c=AAAAAA==,md5={good}"}))
    assert fetch(site, retry_policy, tmp_path) == BODY
    site.always(fault(headers={"Server": "AmazonS3", "ETag": f'"{"0" * 32}"'}))
    with pytest.raises(DownloadError, match="should have 0000"):
        fetch(site, retry_policy, tmp_path)
    # The same ETag of somebody else's server says nothing.
    site.always(fault(headers={"ETag": f'"{"0" * 32}"'}))
    assert fetch(site, retry_policy, tmp_path) == BODY
    with pytest.raises(DownloadError, match="should have 1111"):
        fetch(site, retry_policy, tmp_path, md5="1" * 32)
    assert fetch(site, retry_policy, tmp_path, md5=hashlib.md5(BODY).hexdigest()) == BODY


def test_a_file_that_is_not_right_or_too_long(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve({"big.bin": b"content"})
    site.once(fault(body=b"<html>"))

    def check(path: Path) -> None:
        if path.read_bytes() != b"content":
            raise DataError(f"{path}: is no content")

    assert fetch(site, retry_policy, tmp_path, check=check) == b"content"
    site.always(fault(body=b"<html>"))
    with pytest.raises(DownloadError, match="what came: is no content, each of 4 times"):
        fetch(site, retry_policy, tmp_path, check=check)
    for endless in (fault(), fault(no_length=True)):
        site.always(endless)
        with pytest.raises(DownloadError, match=r"are taken|not taken"):
            fetch(site, retry_policy, tmp_path, limit=3)


def test_a_slow_server_is_borne_and_a_silent_one_is_not(serve: Any, fault: Any, tmp_path: Path) -> None:
    site = serve({"big.bin": b"content"})
    site.always(fault(pause=0.3))
    assert fetch(site, RetryPolicy(attempts=1, timeout=20), tmp_path) == b"content"
    site.always(fault(pause=3))
    with pytest.raises(DownloadError, match="given up after 2 tries"):
        fetch(site, RetryPolicy(attempts=2, timeout=0.2, first_wait=0.01), tmp_path)


def test_no_server_at_all(retry_policy: RetryPolicy, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"given up after 4 tries: .*refused"), Web(retry_policy, 1) as web:
        web.probe("http://127.0.0.1:9/x")


def test_probe_and_part(serve: Any, fault: Any, retry_policy: RetryPolicy) -> None:
    site = serve({"a": BODY, "empty": b""})
    with Web(retry_policy, 2) as web:
        remote = web.probe(f"{site.url}/a")
        assert (remote.size, remote.ranges) == (len(BODY), True)
        assert web.part(remote, 10, 5000) == BODY[10:5000]
        assert web.probe(f"{site.url}/empty").size == 0
        site.once(fault(drop_after=100))
        site.counts.clear()
        assert web.part(remote, 10, 5000) == BODY[10:5000]
        for lie in (fault(headers={"Content-Range": "bytes 11-5000/3000000"}), fault(ignore_range=True)):
            site.always(lie)
            with pytest.raises(NoRangesError):
                web.part(remote, 10, 5000)
        site.always(fault())
        site.files["a"] = BODY[::-1]
        with pytest.raises(DownloadError, match="was changed"):
            web.part(remote, 10, 5000)
        site.ranges = False
        assert web.probe(f"{site.url}/a").ranges is False
        assert web.first_of((f"{site.url}/no", f"{site.url}/a")).url.endswith("/a")
        with pytest.raises(GoneError, match="/no"):
            web.first_of((f"{site.url}/no", f"{site.url}/neither"))


def test_stopped_while_waiting(serve: Any, fault: Any) -> None:
    site = serve({"a": b"x"})
    site.always(fault(status=500))
    with Web(RetryPolicy(first_wait=60), 1) as web:
        web.stop()
        with pytest.raises(StoppedError):
            web.probe(f"{site.url}/a")
