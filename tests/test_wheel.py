"""What is built has all that is needed, and works in an environment that knows nothing of this folder.

`make wheel-test` runs it. Building needs setuptools; nothing is downloaded: the libraries are those of the tests.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import clothseg
from clothseg import sample

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "clothseg"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="needs the source"),
]


def run(words: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Runs a program without the settings of this one that lead to the source."""
    names = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    environment = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source package, and the wheel that is built from it, not from the clone."""
    try:
        if int(version("setuptools").split(".")[0]) < 77:
            pytest.skip("building needs setuptools 77 or newer")
    except PackageNotFoundError:
        pytest.skip("building needs setuptools")
    folder = tmp_path_factory.mktemp("built")
    clone = folder / "clone"
    clone.mkdir()
    for name in ("src", "tests", "docs", "benchmarks", "scripts", "notebooks"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for path in ROOT.iterdir():
        if path.is_file() and path.name not in {".git", ".coverage"}:
            shutil.copy(path, clone)
    build = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
    done = run([sys.executable, "-c", build, "build_sdist", str(folder)], clone)
    assert done.returncode == 0, done.stderr
    with tarfile.open(next(folder.glob("clothseg-*.tar.gz"))) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    done = run([sys.executable, "-c", build, "build_wheel", str(folder)], next((folder / "unpacked").iterdir()))
    assert done.returncode == 0, done.stderr
    shutil.rmtree(clone)
    return folder


@pytest.fixture(scope="module")
def environment(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; it takes other libraries from the environment of the tests.

    A line of a `.pth` file adds a folder without the `.pth` files in it, so an editable installation there is not seen.
    """
    folder = tmp_path_factory.mktemp("environment") / "env"
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    wheel = str(next(built.glob("*.whl")))
    words = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel]
    done = run(words, folder)
    assert done.returncode == 0, done.stderr
    place = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).stdout.strip()
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(place, "libraries.pth").write_text("\n".join(sorted(libraries)) + "\n", encoding="utf-8")
    return folder


def test_the_wheel_has_everything_but_the_tests(built: Path) -> None:
    wheel = next(built.glob("*.whl"))
    assert wheel.name == f"clothseg-{clothseg.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"clothseg-{clothseg.__version__}.dist-info/METADATA").decode()
    ours = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    assert {name for name in names if ".dist-info/" not in name} == ours
    for part in ("config/presets/demo.yaml", "serve/page/", "pictures/fonts/", "sample/train/", "sample/LICENSE.ccp"):
        assert any(name.startswith(f"clothseg/{part}") for name in names), part
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)
    assert "License-Expression: Apache-2.0" in metadata
    assert "Provides-Extra: onnx" in metadata


def test_the_source_package_has_what_the_tests_and_the_site_need(built: Path) -> None:
    top = f"clothseg-{clothseg.__version__}"
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.removeprefix(f"{top}/") for name in archive.getnames()}
    for name in (
        *("pyproject.toml", "README.md", "LICENSE", "Makefile", "mkdocs.yml", "Dockerfile", "constraints.txt"),
        *("requirements-light.txt", "requirements-onnx.txt", "docs/index.md", "docs/pictures/demo.webp"),
        "docs/stylesheets/site.css",
        *(
            "notebooks/garments.ipynb",
            "tests/conftest.py",
            "tests/support/browser.py",
            "benchmarks/results/figures.csv",
        ),
        *("scripts/installed_size.py", "src/clothseg/sample/classes-segmentation.txt"),
    ):
        assert name in names or (
            name.endswith("figures.csv") and any(n.startswith("benchmarks/results/") for n in names)
        )
    assert [name for name in names if "__pycache__" in name or name.startswith(("runs/", "data/", "build/"))] == []


def test_the_demo_runs_outside_the_clone(environment: Path, tmp_path: Path) -> None:
    program = str(environment / ("Scripts/clothseg.exe" if os.name == "nt" else "bin/clothseg"))
    photo = "photo.jpg"
    shutil.copy(min((sample.folder() / "validation").glob("*.jpg")), tmp_path / photo)
    for words in (
        ["--version"],
        ["demo", "--epochs", "1", "--out", "run", "--device", "cpu", "--quiet"],
        ["predict", "run", photo, "--out", "found", "--score-threshold", "0", "--device", "cpu", "--quiet"],
        ["cutout", "run", photo, "--out", "cut", "--score-threshold", "0", "--device", "cpu", "--quiet"],
    ):
        done = run([program, *words], tmp_path)
        assert done.returncode == 0, f"{words}\n{done.stderr}"
    assert (tmp_path / "run" / "report.html").is_file()
    rows = json.loads((tmp_path / "found" / "predictions.json").read_text(encoding="utf-8"))
    assert rows
    assert len(json.loads((tmp_path / "cut" / "cutouts.json").read_text(encoding="utf-8"))["cutouts"]) > 0
    python = str(environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    code = "import sys, clothseg.models, clothseg.serve; print(clothseg.__file__, *sys.path, sep='\\n')"
    places = run([python, "-c", code], tmp_path).stdout.splitlines()
    assert Path(places[0]).is_relative_to(environment)
    assert [place for place in places if Path(place).is_relative_to(ROOT) and "site-packages" not in place] == []
