"""What commands import, and when: heavy libraries only where they are used, and none before the input is checked."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fresh_process import FreshProcesses

from clothseg import sample
from clothseg.config import Config
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder

from .conftest import TINY

UNUSED = ("lightning_fabric", "tensorboard", "matplotlib", "polars", "torch._dynamo", "httpx", "h5py", "vernier")
"""Libraries that a prediction does not need; each takes a tenth of a second or more to import."""
MATTING = ("pymatting", "numba", "scipy")
Called = tuple[int, set[str], str]
"""Exit code, names of the imported modules, and what was printed on stderr."""


@pytest.fixture
def call(fresh: FreshProcesses, tmp_path: Path) -> Callable[..., Called]:
    """Runs `clothseg` with these words in a process of its own, in the folder of the test."""

    def called(*words: object) -> Called:
        done = fresh.run(words, tmp_path)
        return done.wait(), done.modules, done.stderr

    return called


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an untrained network that finds two instances on every photo. Its backbone is not timm's."""
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    settings = Config.load("demo", [*TINY, "backbone.name=resnet18", "network.fpn.levels=[3,4,5]"])
    model = MaskRCNN(settings).build(["Suit", "Dress"])
    model.save(folder.weights)
    folder.config.write_text(settings.to_yaml())
    return folder.path


@pytest.fixture(scope="module")
def photo() -> Path:
    return min((sample.folder() / "validation").glob("*.jpg"))


def test_a_prediction_imports_only_what_it_uses(call: Callable[..., Called], run: Path, photo: Path) -> None:
    code, modules, error = call("predict", run, photo, "--out", "found", "--score-threshold", 0)
    assert code == 0, error
    assert {"torch", "torchvision"} <= modules
    assert modules & {*UNUSED, *MATTING, "timm"} == set()


def test_timm_is_imported_without_the_compiler(call: Callable[..., Called], tmp_path: Path, photo: Path) -> None:
    MaskRCNN(Config.load("demo", TINY)).build(["Suit"]).save(tmp_path / "net.safetensors")
    code, modules, error = call("predict", "net.safetensors", photo, "--out", "found", "--score-threshold", 0)
    assert code == 0, error
    assert "timm" in modules
    assert modules & {*UNUSED, *MATTING} == set()


def test_cutting_out_imports_only_what_it_uses(call: Callable[..., Called], run: Path, photo: Path) -> None:
    code, modules, error = call("cutout", run, photo, "--out", "cut", "--score-threshold", 0)
    assert code == 0, error
    assert "numba" in modules
    assert modules & {*UNUSED, "timm", "pymatting"} == set(), "all of PyMatting is compiled when it is imported"


def test_evaluating_a_run_imports_nothing_for_training(call: Callable[..., Called], run: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "annotations").mkdir(parents=True)
    row = {"id": 1, "file_name": "a.jpg", "width": 100, "height": 150}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 50], "area": 2500, "iscrowd": 0}
    polygon = {**box, "segmentation": [[10, 10, 60, 10, 60, 60, 10, 60]]}
    tree = {"images": [row], "annotations": [polygon], "categories": [{"id": 1, "name": "Suit"}]}
    from PIL import Image

    (tmp_path / "data" / "images").mkdir()
    Image.new("RGB", (100, 150)).save(tmp_path / "data" / "images" / "a.jpg")
    for split in ("train", "val"):
        (tmp_path / "data" / "annotations" / f"{split}.json").write_text(json.dumps(tree))
    code, modules, error = call("evaluate", shutil.copytree(run, tmp_path / "run"), "data")
    assert code == 0, error
    assert modules & {"lightning_fabric", "tensorboard", "polars", "torch._dynamo", "httpx", "h5py", *MATTING} == set()


REFUSED = {
    "photo": (("predict", "RUN", "nowhere", "--out", "found"), "nowhere: no such photo or folder"),
    "run": (("predict", "nowhere", "PHOTO", "--out", "found"), "nowhere: no such weights file"),
    "empty run": (("predict", "empty", "PHOTO", "--out", "found"), "an empty folder, not a run"),
    "out": (("predict", "RUN", "PHOTO", "--out", "full"), "exists already"),
    "out in a file": (("predict", "RUN", "PHOTO", "--out", "full/file/x"), "full/file is a file, not a folder"),
    "tables in a file": (
        ("predict", "RUN", "PHOTO", "--format", "parquet", "--out", "full/file/x"),
        "full/file is a file, not a folder",
    ),
    "tables at a file": (
        ("predict", "RUN", "PHOTO", "--format", "jsonl", "--overwrite", "--out", "full/file"),
        "full/file is a file, not a folder",
    ),
    "score": (("predict", "RUN", "PHOTO", "--out", "found", "--score-threshold", "2"), "score-threshold"),
    "class": (("predict", "RUN", "PHOTO", "--out", "found", "--threshold", "Dres=0.5"), "did you mean Dress?"),
    "setting": (("predict", "RUN", "PHOTO", "--out", "found", "--set", "inference.nms=1"), "inference.nms"),
    "settings file": (("predict", "RUN", "PHOTO", "--out", "found", "--config", "no.yaml"), "no.yaml"),
    "device": (("predict", "RUN", "PHOTO", "--out", "found", "--device", "gpu"), "gpu"),
    "format": (("predict", "RUN", "PHOTO", "--out", "found", "--format", "xml"), "xml"),
    "cutout photo": (("cutout", "RUN", "nowhere", "--out", "cut"), "nowhere: no such photo or folder"),
    "cutout class": (("cutout", "RUN", "PHOTO", "--out", "cut", "--class", "Hat"), "it knows Suit, Dress"),
    "cutout out": (("cutout", "RUN", "PHOTO", "--out", "full"), "exists already"),
    "cutout in a file": (("cutout", "RUN", "PHOTO", "--out", "full/file/a.png"), "full/file is a file, not a folder"),
    "cutout tables": (
        ("cutout", "RUN", "PHOTO", "--format", "parquet", "--out", "full/file"),
        "full/file is a file, not a folder",
    ),
    "compose in a file": (
        ("compose", "PHOTO", "PHOTO", "--out", "full/file/a.png", "--replace", "RUN"),
        "full/file is a file, not a folder",
    ),
    "compose photo": (("compose", "a.png", "PHOTO", "--out", "c.png", "--replace", "RUN"), "a.png: no such photo"),
    "compose class": (
        ("compose", "PHOTO", "PHOTO", "--out", "c.png", "--replace", "RUN", "--class", "Hat"),
        "it knows Suit, Dress",
    ),
    "compose without a network": (("compose", "a.png", "PHOTO", "--out", "c.png"), "no such photo"),
    "evaluate run": (("evaluate", "nowhere", "DATA"), "nowhere: no such weights file"),
    "evaluate data": (("evaluate", "RUN", "nowhere"), "nowhere: no such file"),
    "evaluate initial": (("evaluate", "empty", "DATA", "--initial-weights"), "config.yaml"),
    "figures": (("figures", "RUN", "--out", "figures"), "not an evaluated run"),
    "compare": (("compare", "RUN", "RUN", "--data", "DATA"), "not an evaluated run"),
    "compare page": (("compare", "RUN", "nowhere.json", "--data", "DATA", "--out", "c.html"), "not an evaluated run"),
    "serve run": (("serve", "nowhere"), "nowhere: no such weights file"),
    "serve class": (("serve", "RUN", "--threshold", "Dres=0.5"), "did you mean Dress?"),
    "serve port": (("serve", "RUN", "--port", "-1"), "a port is a number from 0 to 65535"),
    "fit data": (("fit", "nowhere", "--out", "new"), "nowhere: no such file or folder; expected a dataset"),
    "fit out": (("fit", "DATA", "--out", "full"), "exists already"),
    "fit in a file": (("fit", "DATA", "--out", "full/file/x"), "full/file is a file, not a folder"),
    "fit weights": (("fit", "DATA", "--out", "new", "--weights", "imagnet"), "did you mean imagenet"),
    "fit resume": (("fit", "DATA", "--out", "new", "--resume"), "no run to continue"),
    "demo out": (("demo", "--out", "full"), "exists already"),
    "demo networks": (("demo", "--networks", "yolo", "--out", "new"), "no such network"),
    "curves": (("curves", "RUN", "--out", "curves.png"), "no history.csv"),
    "weights": (("weights", "inspect", "nowhere.pth"), "no such weights file"),
    "convert": (("weights", "convert", "nowhere.pth", "--out", "a.safetensors"), "no such weights file"),
    "show": (("dataset", "show", "nowhere", "--out", "shown"), "no such file"),
    "import": (("dataset", "import", "nowhere", "--out", "new"), "nowhere: no such file or folder"),
    "export": (("dataset", "export", "nowhere", "--format", "yolo", "--out", "new"), "nowhere"),
    "check": (("dataset", "check", "nowhere"), "nowhere"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_input_is_refused_without_pytorch(
    case: str, call: Callable[..., Called], run: Path, photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    annotations = tmp_path / "data" / "annotations"
    annotations.mkdir(parents=True)
    for split in ("train", "val"):
        tree = '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "Suit"}]}'
        (annotations / f"{split}.json").write_text(tree)
    places = {"RUN": run, "PHOTO": photo, "DATA": tmp_path / "data"}
    words, message = REFUSED[case]
    code, modules, error = call(*(places.get(word, word) for word in words))
    assert code == 2, error
    assert message in " ".join(error.split())
    assert modules & {"torch", "matplotlib", "lightning_fabric"} == set()
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "command",
    ["fit", "evaluate", "figures", "predict", "cutout", "compose", "compare", "serve", "demo", "merge", "dataset build",
     "dataset stats", "dataset download", "dataset classes", "dataset import", "dataset export", "learning-curve"],
)  # fmt: skip
def test_help_imports_no_network_and_no_tables(command: str, call: Callable[..., Called]) -> None:
    code, modules, _ = call(*command.split(), "--help")
    assert code == 0
    assert modules & {"torch", "polars"} == set()


WITHOUT_TORCH = {
    "check": ("dataset", "check", "data", "--out", "check.html", "--write-clean", "clean"),
    "show": ("dataset", "show", "data", "--out", "look"),
    "import": ("dataset", "import", "back", "--out", "again"),
    "export": ("dataset", "export", "data", "--format", "yolo", "--out", "yolo"),
    "build": ("dataset", "build", "sample", "--classes", "Dress", "--limit", "2", "--out", "built"),
    "compose": ("compose", "cut.png", "photo.jpg", "--out", "pasted.jpg"),
}


@pytest.mark.parametrize("case", WITHOUT_TORCH)
def test_commands_that_only_read_and_draw_work_where_torch_cannot_be_imported(
    case: str, call: Callable[..., Called], photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    from clothseg.dataset.exporting import ExportOptions, export_dataset

    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("torch", "torchvision"):
        (blocked / f"{name}.py").write_text(f"raise ModuleNotFoundError({name!r}, name={name!r})")
    data = tmp_path / "data"
    (data / "annotations").mkdir(parents=True)
    (data / "images").mkdir()
    shutil.copy(photo, data / "images" / "a.jpg")
    with Image.open(photo) as opened:
        width, height = opened.size
        opened.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(data / "images" / "b.jpg")
    part = {"id": 1, "image_id": 1, "category_id": 1, "area": 10_000, "bbox": [50, 50, 100, 100], "iscrowd": 0}
    for split, name in (("train", "a.jpg"), ("val", "b.jpg")):
        tree = {
            "images": [{"id": 1, "file_name": name, "width": width, "height": height}],
            "annotations": [part | {"segmentation": [[50, 50, 150, 50, 150, 150, 50, 150]]}],
            "categories": [{"id": 1, "name": "Dress"}],
        }
        (data / "annotations" / f"{split}.json").write_text(json.dumps(tree))
    export_dataset(data, tmp_path / "back", ExportOptions(format="yolo"))
    shutil.copy(photo, tmp_path / "photo.jpg")
    Image.new("RGBA", (40, 40), (255, 0, 0, 255)).save(tmp_path / "cut.png")
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(blocked), *([before] if before else [])]))
    words = WITHOUT_TORCH[case]
    code, modules, error = call(*words)
    assert code == 0, error
    assert "torch" not in modules
    assert (tmp_path / words[-1]).exists()
