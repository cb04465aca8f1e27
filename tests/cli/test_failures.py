"""Failures of the command line: one line each, the right exit code, a log for what is not expected."""

import errno
import json
import re
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from bad_photos import photo
from fresh_process import FreshProcesses

from clothseg.cli.failures import ISSUES
from clothseg.config import Config
from clothseg.models import MaskRCNN

from .conftest import TINY, RunCommand


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def load(*_: object) -> Config:
        raise error

    monkeypatch.setattr("clothseg.config.Config.load", load)


PHOTOS = 200
FAILURES = [
    (KeyError("x"), 3, "KeyError"),
    (RecursionError("too deep"), 3, "RecursionError"),
    (ZeroDivisionError("a\nb"), 3, "ZeroDivisionError: a b"),
    (MemoryError(), 2, "memory ran out"),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 2, "memory ran out"),
    (ModuleNotFoundError("x", name="polars.io"), 2, "needs polars, which is not installed: pip install polars"),
    (ModuleNotFoundError("x", name="own"), 3, "ModuleNotFoundError"),
    (RuntimeError("can't start new thread"), 2, "no more threads"),
    (OSError(errno.ENOSPC, "No space left on device", "runs/a"), 2, "runs/a: no space is left"),
    (OSError(errno.EFBIG, "File too large"), 2, "larger than is allowed here; raise the limit (ulimit -f)"),
    (OSError(errno.ENOSPC, "No space left on device", "from.jpg", None, "to.jpg"), 2, "to.jpg: no space is left"),
    (PermissionError(errno.EACCES, "Permission denied", "runs/a"), 2, "runs/a: no permission"),
    (OSError(errno.EROFS, "Read-only file system", "runs/a"), 2, "runs/a: no permission"),
    (FileExistsError(errno.EEXIST, "File exists", "a.txt"), 2, "a.txt: a file is where a folder should be"),
    (NotADirectoryError(errno.ENOTDIR, "Not a directory", "a.txt/x"), 2, "a.txt/x: a file is where a folder should be"),
    (OSError(errno.EMFILE, "Too many open files", "a.jpg"), 2, "too many files are open"),
    (BrokenProcessPool("gone"), 2, "a worker process ended suddenly"),
    (KeyboardInterrupt(), 1, "interrupted (Ctrl-C)"),
    (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, "the program that reads the output has ended"),
]


@pytest.mark.parametrize(("error", "code", "words"), FAILURES, ids=lambda value: type(value).__name__)
def test_each_kind_of_failure_is_one_line(
    error: BaseException,
    code: int,
    words: str,
    run_command: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fail_with(monkeypatch, error)
    assert run_command("config", "show", "demo") == code
    shown = capsys.readouterr().err
    assert words in shown
    assert len(shown.strip().splitlines()) == 1
    assert "Traceback" not in shown
    logs = list(tmp_path.iterdir())
    assert len(logs) == (code == 3)
    if logs:
        assert str(logs[0]) in shown
        assert ISSUES in shown
        log = logs[0].read_text(encoding="utf-8")
        assert "Traceback (most recent call last)" in log
        assert log.startswith("clothseg config show demo\n")
        assert "torch " in log


@pytest.mark.parametrize("place", [0, 3])
def test_debug_shows_the_traceback_wherever_it_is_typed(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["config", "show", "demo"]
    words.insert(place, "--debug")
    monkeypatch.setattr("sys.argv", ["clothseg", *words])
    fail_with(monkeypatch, KeyError("x"))
    with pytest.raises(KeyError):
        from clothseg.cli import main

        main()


def test_the_address_for_reports_is_that_of_the_project() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^Issues = "(.*)"$', text, re.MULTILINE)
    assert found is not None
    assert found[1] == ISSUES


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell closes the streams")
@pytest.mark.parametrize(("words", "code"), [("--version", 0), ("weights inspect missing.pth", 2)])
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_the_caller_closed_change_no_exit_code(words: str, code: int, closed: str) -> None:
    line = f'exec "$0" -m clothseg {words} {closed}'
    done = subprocess.run(["sh", "-c", line, sys.executable], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_stdout_is_an_error() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "clothseg", "config", "show"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr.decode().splitlines() == [
        "error: no space is left on the disk, or of your quota; make room and run the command again"
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal SIGINT for one process")
def test_a_stopped_prediction_is_one_line_and_is_kept(fresh_torch: FreshProcesses, tmp_path: Path) -> None:
    MaskRCNN(Config.load("demo", TINY)).build(["Suit"]).save(tmp_path / "net.safetensors")
    for number in range(PHOTOS):
        photo(tmp_path / f"{number}.png", number)
    words = ["predict", str(tmp_path / "net.safetensors"), f"{tmp_path}/*.png", "--out", str(tmp_path / "found")]
    done = [0]
    for number in (signal.SIGINT, signal.SIGTERM):
        process = fresh_torch.start(words)
        while process.poll() is None and len(list((tmp_path / "found").glob("0*.png"))) <= done[-1]:
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait() == 1
        lines = process.stderr.splitlines()
        assert re.match(rf"stopped: \d+ of {PHOTOS} photos and videos are done.*the same command continues", lines[-1])
        assert lines[:-1] == ([f"continuing: {done[-1]} of {PHOTOS} were done before"] if done[-1] else [])
        done.append(len(json.loads((tmp_path / "found" / "images.json").read_text())["images"]))
    assert 0 < done[1] < done[2] < PHOTOS


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals for one process")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SIGINT", "interrupted (Ctrl-C)"),
        ("SIGTERM", "ended from outside (SIGTERM)"),
        ("SIGHUP", "ended from outside (SIGHUP)"),
    ],
)
def test_a_signal_elsewhere_is_one_line_and_leaves_nothing(
    fresh: FreshProcesses, tmp_path: Path, name: str, words: str
) -> None:
    """`dataset build` of the sample, stopped as soon as its temporary folder is there."""
    command = ["dataset", "build", "sample", "--out", str(tmp_path / "data")]
    process = fresh.start(command)
    while process.poll() is None and not any(tmp_path.iterdir()):
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    assert process.wait() == 1
    (line,) = process.stderr.splitlines()
    assert line.startswith(f"stopped: {words}")
    assert not (tmp_path / "data").exists()


def test_ctrl_c_while_the_program_is_imported_is_one_line() -> None:
    code = (
        "import sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'clothseg.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stop())\n"
        "from clothseg.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "stopped: interrupted (Ctrl-C) before anything was done\n"


def test_a_stopped_build_says_that_the_same_command_resumes(
    run_command: RunCommand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("clothseg.openimages.build_dataset", stop)
    assert run_command("dataset", "build", "sample", "--out", tmp_path / "out") == 1
    assert capsys.readouterr().err == "stopped: interrupted (Ctrl-C); the same command resumes the build\n"
