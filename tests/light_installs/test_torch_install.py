"""Networks of PyTorch work on a CPU without the large packages that few need.

The commands run with another folder of libraries: only what `requirements-light.txt` names, and what that requires.
"""

import json
import shutil
import sys
import tomllib
from pathlib import Path

import httpx
import pytest
from other_libraries import Begin, Run, link_libraries, name_of
from tiny_network import TINY_NETWORK

from clothseg import sample
from clothseg.openimages import BuildOptions, build_dataset
from clothseg.optional import LEFT_OUT
from installed_size import closure, read_requirements, size_of

ROOT = Path(__file__).parents[2]
LIGHT = ROOT / "requirements-light.txt"
WITHOUT = {*LEFT_OUT, "protobuf"}
"""Packages of the normal installation that this one does not name."""
LIMIT = 750_000_000
"""Of everything but torch and torchvision, whose CPU build has 0.72 GB; 1.5 GB together."""
TRAINING = [*TINY_NETWORK, "train.epochs=1", "train.steps_per_epoch=2", "train.batch_size=2", "train.workers=0"]
PHOTOS = sample.folder() / "validation"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH with clothseg and the libraries of the light installation."""
    return link_libraries(LIGHT, tmp_path_factory.mktemp("libraries"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A dataset, built where Polars is installed."""
    build_dataset(sample.folder(), tmp_path / "data", ["Suit", "Dress"], BuildOptions(limit=4))
    return tmp_path / "data"


def test_the_bounds_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    normal = [*project["dependencies"], *project["optional-dependencies"]["serve"]]
    own = {name_of(text): text.replace(" ", "") for text in normal}
    listed = {name_of(text): text.replace(" ", "") for text in read_requirements(LIGHT)}
    assert listed == {name: text for name, text in own.items() if name not in WITHOUT}


def test_it_is_small_and_what_is_left_out_is_not_required_by_the_rest() -> None:
    found = closure(read_requirements(LIGHT), without={"torch", "torchvision"})
    assert found.keys() & {*WITHOUT, "pyarrow", "numba", "llvmlite", "polars-runtime-32", "grpcio"} == set()
    assert sum(map(size_of, found.values())) < LIMIT


@pytest.mark.parametrize(
    "words",
    [
        ("dataset", "stats", "sample"),
        ("dataset", "build", "sample", "--out", "new"),
        ("dataset", "download", "--classes", "Dress", "--out", "new"),
        ("demo", "--out", "new"),
        ("predict", "garments", PHOTOS, "--format", "parquet", "--out", "new"),
        ("cutout", "garments", PHOTOS, "--format", "jsonl", "--out", "new"),
    ],
    ids=lambda words: "-".join(map(str, words[:2])),
)
def test_what_needs_polars_says_so_and_writes_nothing(words: tuple[object, ...], run: Run, tmp_path: Path) -> None:
    done = run(*words)
    assert done.returncode == 2, done.stderr
    assert "error: this needs polars, which is not installed: pip install polars" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["dataset stats", "dataset build", "dataset download", "demo", "merge"])
def test_the_help_needs_no_polars(command: str, run: Run) -> None:
    done = run(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: python -m clothseg {command}" in done.stdout


@pytest.mark.slow
def test_a_training_and_what_follows_it_work(run: Run, begin: Begin, data: Path, tmp_path: Path) -> None:
    photo = shutil.copy(min(PHOTOS.glob("*.jpg")), tmp_path / "photo.jpg")
    settings = [word for setting in TRAINING for word in ("--set", setting)]
    fit = run("fit", data, "--out", "run", *settings)
    assert fit.returncode == 0, fit.stderr
    assert fit.stderr.count("pip install tensorboard") == 1
    assert not (tmp_path / "run" / "events").exists()
    shutil.copytree(tmp_path / "run", tmp_path / "again")

    evaluated = run("evaluate", "run", data)
    assert evaluated.returncode == 0, evaluated.stderr
    assert run("evaluate", "again", data).returncode == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    note = "vernier is not installed, so boundary AP is left out (pip install vernier)."
    assert metrics["overall"]["boundary_AP"] is None
    assert metrics["overall"]["mask_AP"] is not None
    assert note in metrics["notes"]
    assert note in evaluated.stdout
    assert note in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")

    for words in (
        ["predict", "run", photo, "--out", "found"],
        ["cutout", "run", photo, "--score-threshold", "0", "--out", "cut"],
        ["compare", "run", "again"],
        ["compare", "run", "again", "--out", "compared.html"],
        ["dataset", "check", data, "--out", "check.html"],
        ["dataset", "show", data, "--out", "look"],
        ["dataset", "export", data, "--format", "yolo", "--out", "yolo"],
        ["dataset", "import", "yolo", "--out", "imported"],
    ):
        done = run(*words)
        assert done.returncode == 0 or words[:2] == ["dataset", "check"], done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.count("pip install pymatting") == (words[0] == "cutout")
        if words[0] == "compare":
            text = (tmp_path / "compared.html").read_text(encoding="utf-8") if "--out" in words else done.stdout
            assert text.count(note) == 1
    cut = min((tmp_path / "cut").glob("*.png"))
    done = run("compose", cut, photo, "--out", "composed.jpg")
    assert done.returncode == 0, done.stderr

    server = begin("serve", "run", "--port", "0", "--no-browser", "--score-threshold", "0")
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), server.communicate()[1]
        answer = httpx.post(f"{address}predict", content=Path(photo).read_bytes(), timeout=60)
        assert answer.json()["instances"]
    finally:
        server.terminate()
        assert "pip install pymatting" in server.communicate(timeout=30)[1]
