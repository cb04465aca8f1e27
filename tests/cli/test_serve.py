"""`clothseg serve` as a program: its address, its end, and what it refuses."""

import importlib.util
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from clothseg import sample
from clothseg.cli.serve import newest_run
from clothseg.config import Config
from clothseg.export import export_onnx
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder

from .conftest import TINY, RunCommand

pytest.importorskip("starlette", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")
pytest.importorskip("python_multipart", reason="the extra serve is not installed")

from clothseg.serve.run import address_elsewhere


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs/first, an untrained network."""
    place = tmp_path_factory.mktemp("place")
    folder = RunFolder(place / "runs" / "first")
    folder.path.mkdir(parents=True)
    model = MaskRCNN(Config.load("demo", TINY)).build(["Suit", "Dress"])
    model.save(folder.weights)
    folder.config.write_text(model.config.to_yaml())
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnxscript"):
        export_onnx(model, place / "exported.onnx")
    return place


def has_network() -> bool:
    with socket.create_server(("0.0.0.0", 0)) as listening:
        return address_elsewhere(listening, "0.0.0.0") is not None


def test_the_address_for_a_phone_leads_to_the_server(runs: Path) -> None:
    command = [sys.executable, "-m", "clothseg", "serve", "--port", "0", "--no-browser", "--host", "0.0.0.0"]
    with subprocess.Popen(command, cwd=runs, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            assert "every machine" in server.stderr.readline()
            if not has_network():
                pytest.skip("this machine is in no network")
            address = server.stderr.readline().split()[-1]
            with httpx.Client(timeout=60, trust_env=False, follow_redirects=True) as client:
                assert "127.0.0.1" not in address
                assert client.get(address).status_code == 200
        finally:
            server.terminate()


def test_a_local_server_has_no_address_for_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert address_elsewhere(listening, "127.0.0.1", "t" * 16) is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal SIGINT for one process")
@pytest.mark.parametrize(
    ("words", "name"),
    [((), "first"), (("--host", "0.0.0.0"), "first"), (("exported.onnx",), "exported.onnx")],
    ids=["local", "token", "onnx"],
)
def test_from_the_start_to_ctrl_c(runs: Path, words: tuple[str, ...], name: str) -> None:
    if name.endswith(".onnx") and not (runs / name).is_file():
        pytest.skip("the extra onnx is not installed")
    with_token = "--host" in words
    command = [sys.executable, "-m", "clothseg", "serve", "--port", "0", "--no-browser", *words]
    with subprocess.Popen(command, cwd=runs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        found = re.fullmatch(r"(http://127\.0\.0\.1:\d+)/(\?token=\S{32})?", address)
        assert found, address
        assert bool(found[2]) == with_token
        photo = min((sample.folder() / "validation").glob("*.jpg")).read_bytes()
        with httpx.Client(base_url=found[1], timeout=120, trust_env=False, follow_redirects=True) as client:
            if with_token:
                assert client.get("/model").status_code == 401
                assert client.get(address).status_code == 200
            assert client.get("/model").json()["name"] == name
            assert client.post("/predict", content=photo).json()["instances"]
        server.send_signal(signal.SIGINT)
        output, errors = server.communicate(timeout=60)
    assert server.returncode == 0, errors
    assert output == ""
    assert "Ctrl-C ends it" in errors
    assert "Traceback" not in errors
    lines = errors.strip().splitlines()
    assert len(lines) == 1 or (with_token and len(lines) == 2 and lines[1].endswith(f"/{found[2]}"))


def test_a_taken_port_is_named_before_the_network_is_loaded(
    runs: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clothseg.models.Model.load", lambda *_, **__: pytest.fail("it is loaded"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert run_command("serve", runs / "runs" / "first", "--port", port, "--no-browser") == 2
    assert f"port {port} is taken by another program; choose another: --port {port + 1}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--port", 70000), "a port is a number from 0 to 65535"),
        (("--port", -1), "a port is a number from 0 to 65535"),
        (("--host", "192.0.2.1", "--port", 0), "not an address of this machine"),
        (("--host", "no such host", "--port", 0), "not an address of this machine"),
        (("--token", "short"), "at least 16 letters"),
        (("--threshold", "Hat=0.5"), "it knows Suit, Dress"),
        (("--score-threshold", 2), "score-threshold"),
        (("--device", "gpu"), "gpu"),
    ],
)
def test_wrong_options(
    runs: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str], words: tuple[object, ...], message: str
) -> None:
    assert run_command("serve", runs / "runs" / "first", "--no-browser", *words) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_without_a_run(
    run_command: RunCommand, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert newest_run(tmp_path / "runs") == Path("garments")
    assert run_command("serve", "nowhere") == 2
    assert "nowhere: no such weights file" in capsys.readouterr().err


def test_without_the_extra(
    runs: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("clothseg.serve", "uvicorn", "starlette"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run_command("serve", runs / "runs" / "first") == 2
    assert 'pip install "clothseg[serve]"' in capsys.readouterr().err


def test_the_page_is_opened_only_where_a_window_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    from clothseg.serve.run import open_browser

    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not open_browser("http://127.0.0.1:1/")
    monkeypatch.setenv("DISPLAY", ":0")
    assert open_browser("http://127.0.0.1:2/")
    assert opened == ["http://127.0.0.1:2/"]
