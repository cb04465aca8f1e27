"""Exported networks and work on datasets need nothing of PyTorch, and this installation is small.

The commands run with another folder of libraries: only what `requirements-onnx.txt` names, and what that requires.
"""

import shutil
import sys
import tomllib
from pathlib import Path

import httpx
import pytest
from other_libraries import Begin, Run, link_libraries, name_of

from clothseg import sample
from clothseg.config import Config
from clothseg.models import MaskRCNN
from installed_size import closure, read_requirements, size_of

ROOT = Path(__file__).parents[2]
LIGHT = ROOT / "requirements-onnx.txt"
PYTORCH = {"torch", "torchvision", "timm", "lightning-fabric", "tensorboard"}
LIMIT = 1_500_000_000
SETTINGS = [
    *("input.height=96", "input.width=64", "network.fpn.channels=32", "network.box_head.fc_dim=64"),
    *("network.mask_head.channels=32", "inference.max_detections=2", "inference.score_threshold=0"),
]
"""Of an untrained network that finds two objects on every photo."""


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH with clothseg and the libraries of the light installation."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    return link_libraries(LIGHT, tmp_path_factory.mktemp("libraries"))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for library in ("onnx", "onnxscript"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    from clothseg.export import export_onnx

    path = tmp_path_factory.mktemp("network") / "net.onnx"
    export_onnx(MaskRCNN(Config.load("demo", SETTINGS)).build(["Suit", "Dress"]), path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for photo in sorted((sample.folder() / "validation").glob("*.jpg"))[:2]:
        shutil.copy(photo, folder)
    return folder


def test_it_is_small_and_has_nothing_of_pytorch() -> None:
    found = closure(read_requirements(LIGHT))
    assert {name for name in found if name in PYTORCH or name.startswith(("nvidia-", "triton"))} == set()
    assert sum(map(size_of, found.values())) < LIMIT


def test_the_bounds_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    own = {
        name_of(text): text.replace(" ", "") for text in [*project["dependencies"], *extras["onnx"], *extras["serve"]]
    }
    listed = {name_of(text): text.replace(" ", "") for text in read_requirements(LIGHT)}
    assert {name: own.get(name) for name in listed} == listed
    left_out = {name_of(text) for text in project["dependencies"]} - set(listed)
    assert {name_of(text) for text in extras["serve"]} <= set(listed), "an exported network needs them for its page"
    assert left_out == PYTORCH | {"protobuf", "h5py", *(name for name in own if name.startswith("efficientnet"))}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_exported_networks_work(run: Run, network: Path, photos: Path, tmp_path: Path) -> None:
    forms = ["--format", "coco", "--format", "csv", "--format", "pictures", "--format", "class-maps"]
    for words in (
        ["predict", network, photos, "--out", "found", "--score-threshold", "0", *forms, "--labels", "coco"],
        ["cutout", network, photos, "--out", "cut", "--score-threshold", "0"],
    ):
        done = run(*words)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert {"predictions.json", "detections.csv", "class-maps"} <= {
        path.name for path in (tmp_path / "found").iterdir()
    }
    cut = next((tmp_path / "cut").glob("*.png"))
    done = run("compose", cut, min(photos.iterdir()), "--out", "composed.jpg")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_the_web_page_of_an_exported_network_works(begin: Begin, network: Path, photos: Path) -> None:
    server = begin("serve", network, "--port", "0", "--no-browser", "--score-threshold", "0")
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), server.communicate()[1]
        answer = httpx.post(f"{address}predict", content=min(photos.iterdir()).read_bytes(), timeout=60)
        assert len(answer.json()["instances"]) == 2
    finally:
        server.terminate()
        server.communicate(timeout=30)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_datasets_work(run: Run, tmp_path: Path) -> None:
    for words in (
        ["dataset", "build", "sample", "--limit", "3", "--out", "data"],
        ["dataset", "check", "data", "--json"],
        ["dataset", "export", "data", "--format", "yolo", "--out", "yolo"],
        ["dataset", "import", "yolo", "--out", "again"],
        ["config", "show", "demo"],
        ["--version"],
    ):
        done = run(*words)
        assert done.returncode == 0 or words[:2] == ["dataset", "check"], done.stderr
        assert "Traceback" not in done.stderr
    assert "torch not installed" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
@pytest.mark.parametrize("command", ["fit", "predict", "show"])
def test_what_needs_pytorch_says_so(command: str, run: Run, tmp_path: Path, photos: Path) -> None:
    if command == "predict":
        MaskRCNN(Config.load("demo", SETTINGS)).build(["Suit"]).save(tmp_path / "net.safetensors")
    else:
        assert run("dataset", "build", "sample", "--limit", "3", "--out", "data").returncode == 0
    words = {
        "fit": ("fit", "data", "--out", "run"),
        "predict": ("predict", "net.safetensors", photos, "--out", "found"),
        "show": ("dataset", "show", "data", "--config", "demo", "--out", "look"),
    }
    done = run(*words[command])
    assert done.returncode == 2, done.stderr
    assert "this needs PyTorch, and torch is not installed" in " ".join(done.stderr.split())
