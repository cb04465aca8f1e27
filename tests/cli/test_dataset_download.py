"""`clothseg dataset download` as a user types it, from a plain folder on a server without ranges."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clothseg import sample
from clothseg.cli.app import app
from clothseg.errors import ClothsegError, DataError

runner = CliRunner()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(sample.folder()) as address:
        yield address


def run(*words: object) -> tuple[int, str, str]:
    result = runner.invoke(app, ["dataset", *map(str, words)])
    if isinstance(result.exception, ClothsegError):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_plan_download_and_its_build_command(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    words = ["download", "--source-url", url, "--out", "raw", "--classes", "Suit,Jeans", "--limit", 6]
    code, out, _ = run(*words, "--dry-run")
    assert code == 0
    assert "train photos" in out
    assert "estimated from 6" in out
    assert not (tmp_path / "raw" / "train").exists()
    code, out, _ = run(*words)
    assert code == 0
    assert "photos: 12 fetched, 0 existed already" in out
    named = next(line for line in out.splitlines() if line.startswith("Next: clothseg dataset "))
    code, _, _ = run(*named.removeprefix("Next: clothseg dataset ").split())
    assert code == 0
    assert len(json.loads((tmp_path / "data" / "annotations" / "train.json").read_text())["images"]) == 6
    code, out, _ = run(*words, "--json")
    summary = json.loads(out)
    assert code == 0
    assert summary["existing"]["photos"] == 12
    assert summary["plan"]["bytes_to_fetch"] == 0


def test_without_out_the_files_go_to_a_folder_of_their_own(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["download", "--source-url", url, "--classes", "Suit", "--limit", 1, "--splits", "train"]
    for fetched in ("1 fetched, 0 existed", "0 fetched, 1 existed"):
        code, out, _ = run(*words)
        assert code == 0
        assert f"photos: {fetched} already" in out
    assert [path.name for path in tmp_path.iterdir()] == ["open-images"]
    assert len(list((tmp_path / "open-images" / "train").iterdir())) == 1


def test_failures_give_exit_code_1_and_are_listed(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    shutil.copytree(sample.folder(), mirror, ignore=shutil.ignore_patterns("__pycache__"))
    for photo in sorted((mirror / "train").iterdir())[:20]:
        photo.unlink()
    with served(mirror) as url:
        words = ["download", "--source-url", url, "--out", tmp_path / "raw", "--splits", "train", "--quiet"]
        code, out, err = run(*words, "--partitions", "0")
    assert (code, out) == (1, "")
    assert "done in part:" in err
    assert "photo 003d38bbae99c5a9.jpg: " in err
    assert "status 404" in err
    assert "download-failed.csv" in err
    listed = (tmp_path / "raw" / "download-failed.csv").read_text().splitlines()
    assert len(listed) - 1 == int(err.split("done in part: ")[1].split()[0])


def test_wrong_options(tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match="'Suits'; similar: Suit"):
        run("download", "--source-url", url, "--out", tmp_path / "raw", "--classes", "Suits")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="partitions 'x'"):
        run("download", "--source-url", url, "--partitions", "x")
    code, out, _ = run("download", "--help")
    assert code == 0
    assert "Example: clothseg dataset download" in " ".join(out.split())
