"""What the errors of remote stores become: which are tried again, and what the message says."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars
import pytest

from clothseg.catalogue import open_catalogue
from clothseg.catalogue.reading import PhotoReader
from clothseg.catalogue.remote import with_retries
from clothseg.errors import ClothsegError, DownloadError, GoneError, UnreachableError
from clothseg.http import RetryPolicy

from .conftest import Run

Serve = Callable[..., Any]


def test_the_package_for_a_store_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(ClothsegError, match=r'needs one more package \(s3fs\): pip install "clothseg\[cloud\]"'):
        open_catalogue(["s3://shop/photos/"])
    monkeypatch.undo()
    with pytest.raises(ClothsegError, match="unknown kind of address"):
        open_catalogue(["wrong://shop/photos/"])


def test_a_store_that_refuses_the_connection_fails_one_photo_only(
    photos: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FTP connects when its file system is made, and not when the file is read."""
    monkeypatch.setattr("clothseg.catalogue.engines.PhotoReader", lambda: PhotoReader(RetryPolicy(2, 1.0, 0.01)))
    monkeypatch.setattr("clothseg.catalogue.remote.RetryPolicy", lambda: RetryPolicy(2, 1.0, 0.01))
    (tmp_path / "list.txt").write_text(f"ftp://127.0.0.1:9/a.jpg\n{photos}/01.png\n")
    assert run(tmp_path / "list.txt", tmp_path / "out").failed == 1
    error = polars.read_parquet(tmp_path / "out/errors/shard-000001.parquet")["error"][0]
    assert re.fullmatch(r"ftp://127\.0\.0\.1:9/a\.jpg: failed after 2 attempts \(Connection\w+: .*refused.*\)", error)
    with pytest.raises(UnreachableError, match=r"^ftp://127\.0\.0\.1:9/list\.csv: failed after 2 attempts"):
        open_catalogue(["ftp://127.0.0.1:9/list.csv"])


def test_a_web_server_that_is_away_is_not_a_missing_list(
    serve: Serve, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsspec says of both that there is no such file."""
    pytest.importorskip("aiohttp")
    monkeypatch.setattr("clothseg.catalogue.remote.RetryPolicy", lambda: RetryPolicy(2, 1.0, 0.01))
    with pytest.raises(UnreachableError, match=r"^http://127\.0\.0\.1:9/list\.csv: failed after 2 attempts"):
        open_catalogue(["http://127.0.0.1:9/list.csv"])
    site = serve({"list.txt": b"a.jpg"})
    with pytest.raises(GoneError, match="nothing at this address"):
        open_catalogue([f"{site.url}/nowhere.txt"])
    site.always(fault(status=503))
    with pytest.raises(UnreachableError, match="failed after 2 attempts"):
        open_catalogue([f"{site.url}/list.txt"])


def test_missing_credentials_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoCredentialsError(Exception):  # like botocore's
        pass

    def missing() -> None:
        raise NoCredentialsError("Unable to locate credentials")

    with pytest.raises(DownloadError) as caught:
        with_retries(missing, "s3://shop/a.jpg")
    assert str(caught.value) == (
        "s3://shop/a.jpg: there are no credentials for this store; set them as its own tools take them, such as "
        "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )


def test_which_errors_of_a_store_are_tried_again(retry_policy: RetryPolicy) -> None:
    calls: list[int] = []

    def failing(error: Exception) -> Callable[[], None]:
        def call() -> None:
            calls.append(1)
            raise error

        return call

    class ClientResponseError(Exception):  # like aiohttp's
        status = 404

    cases: list[tuple[Exception, type[ClothsegError], int]] = [
        (FileNotFoundError("x"), GoneError, 1),
        (PermissionError("x"), DownloadError, 1),
        (OSError(16, "SlowDown"), UnreachableError, 4),
        (TimeoutError(), UnreachableError, 4),
        (ConnectionResetError(), UnreachableError, 4),
        (ClientResponseError(), DownloadError, 1),
        (ValueError("x"), DownloadError, 1),
    ]
    for error, kind, attempts in cases:
        calls.clear()
        with pytest.raises(kind) as caught:
            with_retries(failing(error), "s3://shop/a", retry_policy)
        assert type(caught.value) is kind
        assert len(calls) == attempts
