"""Whole files from a server that fails on demand."""

import base64
import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from clothseg.errors import DataError, DownloadError
from clothseg.http import HttpClient, RemoteFile, RetryPolicy, download_file, fetch_file

BODY = random.Random(7).randbytes(3_000_000)


def fetch(site: Any, retry_policy: RetryPolicy, tmp_path: Path, name: str = "big.bin", **how: Any) -> bytes:
    path, part = tmp_path / "out" / name, tmp_path / "parts" / "big.part"
    with HttpClient(retry_policy, 4) as client:
        md5 = fetch_file(client, RemoteFile(f"{site.url}/{name}"), path, part=part, **how)
    content = path.read_bytes()
    assert md5 == hashlib.md5(content).hexdigest()
    assert list((tmp_path / "parts").iterdir()) == []
    return content


def test_a_dropped_connection_is_resumed(serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path) -> None:
    site = serve({"big.bin": BODY})
    # More drops than attempts, but more than a megabyte arrives each time.
    site.rule = lambda path, count: fault(drop_after=1_200_000) if count < 2 else None
    assert fetch(site, RetryPolicy(attempts=2, initial_wait=0.01), tmp_path) == BODY
    starts = [int((line[1] or "bytes=0-")[6:-1]) for line in site.log]
    assert starts[0] == 0
    assert 0 < starts[1] < starts[2]
    assert all(line[2] for line in site.log[1:]), "If-Range is sent"


def test_without_ranges_a_dropped_file_restarts_and_fails_in_the_end(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve({"big.bin": BODY}, ranges=False)
    site.once(fault(drop_after=2_000_000))
    assert fetch(site, retry_policy, tmp_path) == BODY
    site.always(fault(drop_after=2_000_000))
    (tmp_path / "out" / "big.bin").unlink()
    with pytest.raises(DownloadError, match="failed after"):
        fetch(site, retry_policy, tmp_path)
    assert not (tmp_path / "out" / "big.bin").exists()


def test_without_a_validator_nothing_is_resumed(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve({"big.bin": BODY}, etags=False)
    site.once(fault(drop_after=2_000_000))
    assert fetch(site, retry_policy, tmp_path) == BODY
    assert [line[1] for line in site.log] == [None, None]


@pytest.mark.parametrize("change", [False, True])
def test_another_process_resumes_and_a_changed_file_restarts(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path, change: bool
) -> None:
    site = serve({"big.bin": BODY})
    site.always(fault(drop_after=1_500_000))
    with pytest.raises(DownloadError), HttpClient(RetryPolicy(attempts=1), 1) as client:
        fetch_file(client, remote_file(site), tmp_path / "out" / "big.bin", part=tmp_path / "parts" / "big.part")
    left = sorted(path.name for path in (tmp_path / "parts").iterdir())
    assert left == ["big.part", "big.part.json"]
    if change:
        site.files["big.bin"] = BODY[::-1]
    site.rule = lambda path, count: None
    site.sent = 0
    assert fetch(site, retry_policy, tmp_path) == site.files["big.bin"]
    assert site.log[-1][1] is not None
    assert site.sent == (len(BODY) if change else pytest.approx(len(BODY) - 1_500_000, abs=200_000))


def remote_file(site: Any) -> RemoteFile:
    return RemoteFile(f"{site.url}/big.bin")


def test_a_part_that_is_too_long_or_has_no_note_is_discarded(
    serve: Any, retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve({"big.bin": BODY})
    for note in (None, {"validator": '"x"'}, ["no note"]):
        (tmp_path / "parts").mkdir(exist_ok=True)
        (tmp_path / "parts" / "big.part").write_bytes(b"junk" * 1_000_000)
        if note:
            (tmp_path / "parts" / "big.part.json").write_text(json.dumps(note))
        assert fetch(site, retry_policy, tmp_path) == BODY


def test_wrong_lengths(serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path) -> None:
    site = serve({"big.bin": BODY})
    for wrong in (fault(extra_length=1000), fault(no_length=True, drop_after=1000, headers={"Content-Length": "5000"})):
        site.counts.clear()
        site.once(wrong)
        assert fetch(site, retry_policy, tmp_path) == BODY
    site.always(fault(extra_length=1000))
    with pytest.raises(DownloadError, match="failed after"):
        fetch(site, retry_policy, tmp_path)
    # A body without a length, where the size is known from before.
    site.counts.clear()
    site.once(fault(no_length=True, body=BODY[:1000]))
    with HttpClient(retry_policy, 1) as client:
        fetch_file(client, RemoteFile(remote_file(site).url, len(BODY)), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY


def test_a_wrong_checksum_is_fetched_again_and_then_an_error(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    good = base64.b64encode(hashlib.md5(BODY).digest()).decode()
    site = serve({"big.bin": BODY})
    site.once(fault(body=BODY[:-1] + b"?", headers={"x-goog-hash": f"crc32c=AAAAAA==,md5={good}"}))
    assert fetch(site, retry_policy, tmp_path) == BODY
    site.always(fault(headers={"Server": "AmazonS3", "ETag": f'"{"0" * 32}"'}))
    with pytest.raises(DownloadError, match="should be 0000"):
        fetch(site, retry_policy, tmp_path)
    # The same ETag from another kind of server is no MD5.
    site.always(fault(headers={"ETag": f'"{"0" * 32}"'}))
    assert fetch(site, retry_policy, tmp_path) == BODY
    with pytest.raises(DownloadError, match="should be 1111"):
        fetch(site, retry_policy, tmp_path, md5="1" * 32)
    assert fetch(site, retry_policy, tmp_path, md5=hashlib.md5(BODY).hexdigest()) == BODY


def test_a_file_with_wrong_content_or_too_many_bytes(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve({"big.bin": b"content"})
    site.once(fault(body=b"<html>"))

    def check(path: Path) -> None:
        if path.read_bytes() != b"content":
            raise DataError(f"{path}: is wrong")

    assert fetch(site, retry_policy, tmp_path, check=check) == b"content"
    site.always(fault(body=b"<html>"))
    with pytest.raises(DownloadError, match="the content: is wrong; the same 4 times"):
        fetch(site, retry_policy, tmp_path, check=check)
    for endless in (fault(), fault(no_length=True)):
        site.always(endless)
        with pytest.raises(DownloadError, match="allowed"):
            fetch(site, retry_policy, tmp_path, max_bytes=3)


@pytest.mark.parametrize("etags", [True, False])
def test_one_file_is_resumed_and_verified_by_its_sha256(
    serve: Any, fault: Any, retry_policy: RetryPolicy, tmp_path: Path, etags: bool
) -> None:
    site = serve({"w.pth": BODY}, etags=etags)
    site.once(fault(drop_after=1_500_000))
    digest = hashlib.sha256(BODY).hexdigest()
    reports: list[tuple[int, int | None]] = []
    path = tmp_path / "cache" / "w.pth"
    download_file(
        f"{site.url}/w.pth",
        path,
        sha256=digest[:8],
        policy=retry_policy,
        progress=lambda done, total: reports.append((done, total)),
    )
    assert path.read_bytes() == BODY
    assert [p.name for p in path.parent.iterdir()] == ["w.pth"]
    ranges = [line[1] for line in site.log]
    assert ranges[0] is None
    assert 0 < int(ranges[1].removeprefix("bytes=").rstrip("-")) <= 1_500_000
    assert reports[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("left", [slice(-5), slice(1000), slice(-5, -1), slice(None)])
def test_a_part_from_an_earlier_download_does_no_harm(
    serve: Any, retry_policy: RetryPolicy, tmp_path: Path, ranges: bool, left: slice
) -> None:
    """Its beginning, all of it, other bytes, or more than it has."""
    site = serve({"w.pth": BODY}, ranges=ranges)
    (tmp_path / "w.pth.part").write_bytes((BODY + b"more!")[left])
    digest = hashlib.sha256(BODY).hexdigest()
    download_file(f"{site.url}/w.pth", tmp_path / "w.pth", sha256=digest, policy=retry_policy)
    assert (tmp_path / "w.pth").read_bytes() == BODY
    assert [p.name for p in tmp_path.iterdir()] == ["w.pth"]
    if left == slice(-5) and ranges:
        assert site.sent == 0, "the part was complete"


def test_a_wrong_sha256_is_an_error_and_nothing_is_kept(serve: Any, retry_policy: RetryPolicy, tmp_path: Path) -> None:
    site = serve({"w.pth": BODY})
    with pytest.raises(DownloadError, match="should begin with 00000000"):
        download_file(f"{site.url}/w.pth", tmp_path / "w.pth", sha256="00000000", policy=retry_policy)
    assert list(tmp_path.iterdir()) == []


def test_after_a_failure_the_part_stays(serve: Any, fault: Any, tmp_path: Path) -> None:
    site = serve({"w.pth": BODY})
    site.always(fault(drop_after=1_500_000))
    with pytest.raises(DownloadError, match="failed after 1 attempts"):
        download_file(f"{site.url}/w.pth", tmp_path / "w.pth", policy=RetryPolicy(attempts=1))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w.pth.part", "w.pth.part.json"]
