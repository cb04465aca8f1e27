"""The Dockerfile without Docker: what it copies exists, and its commands do what they should in a clean folder."""

import json
import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / "Dockerfile").is_file(), reason="there is no Dockerfile here")
KNOWN = {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "CMD"}
needs_sh = pytest.mark.skipif(os.name == "nt" or shutil.which("sh") is None, reason="needs a Unix shell")


def instructions() -> list[tuple[str, str]]:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return [
        (word, rest) for line in lines if line and not line.startswith("#") for word, _, rest in [line.partition(" ")]
    ]


def copied(stage: int) -> list[str]:
    """What a stage copies from the folder of the Dockerfile."""
    stages = [number for number, (word, _) in enumerate(instructions()) if word == "FROM"]
    end = stages[stage + 1] if stage + 1 < len(stages) else None
    rows = [rest.split() for word, rest in instructions()[stages[stage] : end] if word == "COPY"]
    return [source for row in rows if not row[0].startswith("--from=") for source in row[:-1]]


def ignored(path: str) -> bool:
    """Whether `.dockerignore` leaves a path out: the last line that fits decides."""
    answer = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        rule = line.removeprefix("!")
        fits = fnmatch(path, rule) or path.startswith(f"{rule}/") or fnmatch(f"x/{path}", rule)
        if line and not line.startswith("#") and fits:
            answer = not line.startswith("!")
    return answer


def test_instructions_are_known_and_complete() -> None:
    words = [word for word, _ in instructions()]
    assert set(words) <= KNOWN
    assert words.count("FROM") == 2
    assert dict(instructions())["USER"] == "clothseg", "nothing runs as root"
    for word, rest in instructions():
        if word in {"ENTRYPOINT", "CMD"}:
            assert isinstance(json.loads(rest), list)


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    for source in [*copied(0), *copied(1)]:
        assert (ROOT / source).exists(), source
        assert not ignored(source), source
    assert all(map(ignored, ("tests", "runs/first", ".git", "data", "src/clothseg/__pycache__")))


def test_every_argument_has_a_default() -> None:
    arguments = [rest for word, rest in instructions() if word == "ARG"]
    assert [name.partition("=")[0] for name in arguments if "=" in name] == ["PYTHON", "TORCH", "TORCH_INDEX"]


def test_the_first_stage_builds_a_wheel_from_what_it_copies(tmp_path: Path) -> None:
    if find_spec("setuptools") is None:
        pytest.skip("building needs setuptools")
    source, wheels = tmp_path / "source", tmp_path / "wheels"
    source.mkdir()
    for name in copied(0):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / name, source)
    words = next(rest for word, rest in instructions() if word == "RUN" and "pip wheel" in rest).split()
    words = [str(wheels) if word == "/wheels" else word for word in words[1:]]
    command = [sys.executable, "-m", "pip", *words, "--no-build-isolation", "--no-index", "--quiet"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [re.sub(r"[\d.]+", "N", path.name, count=1) for path in wheels.iterdir()] == ["clothseg-N-py3-none-any.whl"]


def install(tmp_path: Path, *words: str) -> "tuple[subprocess.CompletedProcess[str], list[str]]":
    """Runs `install.sh` with a `pip` that only writes down how it is called."""
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "clothseg-1.0-py3-none-any.whl").touch()
    calls = tmp_path / "calls.txt"
    (tmp_path / "pip").write_text(f'#!/bin/sh\necho "$*" >> "{calls}"\n', encoding="utf-8")
    (tmp_path / "pip").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command = ["sh", str(ROOT / "docker" / "install.sh"), *words, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    text = calls.read_text(encoding="utf-8") if calls.exists() else ""
    return done, text.replace(f"{tmp_path}/", "").splitlines()


PIP = "install --no-cache-dir"
WHEEL = "wheels/clothseg-1.0-py3-none-any.whl"
ALL = f"{PIP} --constraint constraints.txt {WHEEL}[heic,onnx,serve,video]"
CPU = f"{PIP} --no-deps --constraint constraints.txt --index-url ADDRESS torch torchvision"
"""Without what they need: that index has few versions of it, so the pinned ones come from PyPI with the rest."""
LIGHT = [f"{PIP} --no-deps {WHEEL}", f"{PIP} --constraint constraints.txt --requirement requirements-onnx.txt"]


@needs_sh
@pytest.mark.parametrize(
    ("words", "expected"),
    [(("cuda", ""), [ALL]), (("cpu", "ADDRESS"), [CPU, ALL]), (("none", ""), LIGHT)],
    ids=["cuda", "cpu", "none"],
)
def test_each_kind_installs_what_it_should(words: tuple[str, str], expected: list[str], tmp_path: Path) -> None:
    done, calls = install(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert calls == expected


@needs_sh
@pytest.mark.parametrize(("words", "message"), [(("cpu", ""), "TORCH_INDEX"), (("gpu", ""), "cuda, cpu and none")])
def test_wrong_arguments_are_refused(words: tuple[str, str], message: str, tmp_path: Path) -> None:
    done, calls = install(tmp_path, *words)
    assert done.returncode == 1
    assert message in done.stderr
    assert calls == []
