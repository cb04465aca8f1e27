"""Requests to a server that fails on demand."""

import email.utils
import random
import time
from typing import Any

import pytest

from clothseg.errors import DownloadError, GoneError
from clothseg.http import CancelledError, HttpClient, RangesNotSupportedError, RetryPolicy

BODY = random.Random(7).randbytes(3_000_000)


def fetch(site: Any, policy: RetryPolicy) -> bytes:
    """The body of `big.bin`, requested with retries."""
    with HttpClient(policy) as client:

        def work(_: object) -> bytes:
            with client.get(f"{site.url}/big.bin") as response:
                return b"".join(client.iter_body(response))

        return client.retry(work, f"{site.url}/big.bin")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_temporary_status_is_retried(serve: Any, fault: Any, retry_policy: RetryPolicy, status: int) -> None:
    site = serve({"big.bin": b"content"})
    site.rule = lambda path, count: fault(status=status) if count < 3 else None
    assert fetch(site, retry_policy) == b"content"
    assert len(site.log) == 4


@pytest.mark.parametrize("status", [500, 429])
def test_a_status_that_stays_is_an_error_with_the_reason(
    serve: Any, fault: Any, retry_policy: RetryPolicy, status: int
) -> None:
    site = serve({"big.bin": b"content"})
    site.always(fault(status=status))
    with pytest.raises(DownloadError, match=rf"big\.bin: failed after 4 attempts: status {status}"):
        fetch(site, retry_policy)
    assert len(site.log) == 4


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_missing_file_is_requested_once(serve: Any, fault: Any, retry_policy: RetryPolicy, status: int) -> None:
    site = serve({"big.bin": b"content"})
    site.always(fault(status=status))
    with pytest.raises(GoneError, match=f"status {status}"):
        fetch(site, retry_policy)
    assert len(site.log) == 1


def test_a_redirect_away_from_the_web_is_no_temporary_fault(serve: Any, fault: Any, retry_policy: RetryPolicy) -> None:
    site = serve({"big.bin": b"content"})
    site.always(fault(status=302, headers={"Location": "file:///etc/passwd"}))
    with pytest.raises(DownloadError, match=r"big\.bin: it is, or leads to, an address that is not of the web"):
        fetch(site, retry_policy)
    assert len(site.log) == 1


def test_an_address_without_a_host_is_no_temporary_fault(retry_policy: RetryPolicy) -> None:
    with HttpClient(retry_policy) as client, pytest.raises(DownloadError, match=r"^http://: .* not of the web"):
        client.read("http://", 10)


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_respected(serve: Any, fault: Any, retry_policy: RetryPolicy, as_date: bool) -> None:
    site = serve({"big.bin": b"content"})
    end = int(time.time()) + 2
    header = email.utils.formatdate(end, usegmt=True) if as_date else "1"
    site.once(fault(status=429, headers={"Retry-After": header}))
    assert fetch(site, retry_policy) == b"content"
    assert len(site.log) == 2
    assert time.time() >= end if as_date else site.log[1][3] - site.log[0][3] >= 0.95


def test_a_very_long_retry_after_is_an_error(serve: Any, fault: Any, retry_policy: RetryPolicy) -> None:
    site = serve({"big.bin": b"content"})
    site.always(fault(status=503, headers={"Retry-After": "7200"}))
    with pytest.raises(DownloadError, match="asks to wait 7200 s"):
        fetch(site, retry_policy)


def test_a_slow_server_works_and_a_silent_one_times_out(serve: Any, fault: Any) -> None:
    site = serve({"big.bin": b"content"})
    site.always(fault(pause=0.3))
    assert fetch(site, RetryPolicy(attempts=1, timeout=20)) == b"content"
    site.always(fault(pause=3))
    with pytest.raises(DownloadError, match="failed after 2 attempts"):
        fetch(site, RetryPolicy(attempts=2, timeout=0.2, initial_wait=0.01))


def test_without_a_server(retry_policy: RetryPolicy) -> None:
    with (
        pytest.raises(DownloadError, match=r"failed after 4 attempts: .*refused"),
        HttpClient(retry_policy, 1) as client,
    ):
        client.probe("http://127.0.0.1:9/x")


def test_probe_and_read_range(serve: Any, fault: Any, retry_policy: RetryPolicy) -> None:
    site = serve({"a": BODY, "empty": b""})
    with HttpClient(retry_policy, 2) as client:
        remote = client.probe(f"{site.url}/a")
        assert (remote.size, remote.ranges) == (len(BODY), True)
        assert client.read_range(remote, 10, 5000) == BODY[10:5000]
        assert client.probe(f"{site.url}/empty").size == 0
        site.once(fault(drop_after=100))
        site.counts.clear()
        assert client.read_range(remote, 10, 5000) == BODY[10:5000]
        for wrong in (fault(headers={"Content-Range": "bytes 11-5000/3000000"}), fault(ignore_range=True)):
            site.always(wrong)
            with pytest.raises(RangesNotSupportedError):
                client.read_range(remote, 10, 5000)
        site.always(fault())
        site.files["a"] = BODY[::-1]
        with pytest.raises(DownloadError, match="file changed"):
            client.read_range(remote, 10, 5000)
        site.ranges = False
        assert client.probe(f"{site.url}/a").ranges is False
        assert client.probe_first((f"{site.url}/no", f"{site.url}/a")).url.endswith("/a")
        with pytest.raises(GoneError, match="/no"):
            client.probe_first((f"{site.url}/no", f"{site.url}/neither"))


def test_cancelled_while_waiting(serve: Any, fault: Any) -> None:
    site = serve({"a": b"x"})
    site.always(fault(status=500))
    with HttpClient(RetryPolicy(initial_wait=60), 1) as client:
        client.cancel()
        with pytest.raises(CancelledError):
            client.probe(f"{site.url}/a")
