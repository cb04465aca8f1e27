"""Odd but likely situations of the commands after a training: one clear line each, and no input is ever written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bad_photos import photo

from clothseg.cli.app import main
from clothseg.config import Config
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder

from .conftest import TINY, RunCommand

SQUARE = [5, 5, 35, 5, 35, 40, 5, 40]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with two photos in each split, and an evaluated run."""
    root = tmp_path_factory.mktemp("made")
    (root / "data" / "images").mkdir(parents=True)
    (root / "data" / "annotations").mkdir()
    for split in ("train", "val"):
        names = [photo(root / "data" / "images" / f"{split}{n}.jpg", n, (48, 64)).name for n in (1, 2)]
        images = [{"id": n, "file_name": name, "width": 48, "height": 64} for n, name in enumerate(names, 1)]
        rows = [
            {"id": n, "image_id": n, "category_id": n, "segmentation": [SQUARE], "bbox": [5, 5, 30, 35], "iscrowd": 0}
            for n in (1, 2)
        ]
        categories = [{"id": 1, "name": "Suit"}, {"id": 2, "name": "Dress"}]
        tree = {"images": images, "annotations": rows, "categories": categories}
        (root / "data" / "annotations" / f"{split}.json").write_text(json.dumps(tree))
    run = RunFolder(root / "run")
    settings = Config.load("demo", TINY)
    MaskRCNN(settings).build(["Suit", "Dress"]).save(run.weights)
    run.config.write_text(settings.to_yaml())
    run.add_facts({"data": str(root / "data"), "classes": ["Suit", "Dress"]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["clothseg", "evaluate", str(run.path), str(root / "data"), "--quiet"])
        with pytest.raises(SystemExit) as caught:
            main()
    assert not caught.value.code
    return root


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the current folder."""
    shutil.copytree(made, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def perfect(place: Path) -> list[dict[str, Any]]:
    rows = json.loads((place / "data" / "annotations" / "val.json").read_text())["annotations"]
    return [{"image_id": r["image_id"], "category_id": r["category_id"], "segmentation": r["segmentation"],
             "bbox": r["bbox"], "score": 0.9} for r in rows]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda row: row | {"bbox": [1]}, "result 0"),
        (lambda row: row | {"bbox": "wide"}, "result 0"),
        (lambda row: row | {"image_id": 99}, "result 0 is for photo 99"),
        (lambda row: row | {"category_id": 7}, "class 7"),
        (lambda row: row | {"score": float("nan")}, "score nan"),
        (lambda row: row | {"segmentation": {"size": [64, 48], "counts": "?"}}, "result 0"),
        (lambda row: row | {"segmentation": {"size": [6, 4], "counts": [24]}}, "result 0"),
        (lambda row: None, "result 0"),
    ],
    ids=["bbox", "bbox-text", "photo", "class", "score", "mask", "size", "null"],
)
def test_figures_of_damaged_predictions(
    change: Callable[[Any], Any],
    reason: str,
    place: Path,
    run_command: RunCommand,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = perfect(place)
    (place / "run" / "predictions.json").write_text(json.dumps([change(rows[0]), rows[1]]))
    assert run_command("figures", "run", "--data", "data", "--out", "figures", "--quiet") == 2
    error = capsys.readouterr().err
    assert "predictions.json: " in error and reason in error, error
    assert len(error.strip().splitlines()) == 1
    assert not (place / "figures").exists()


def test_converting_never_writes_the_weights_that_it_reads(
    place: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "link.safetensors").symlink_to("run/weights.safetensors")
    before = files_in(place)
    for source, out in (
        ("run", "run/weights.safetensors"),
        ("run/weights.safetensors", "run/../run/weights.safetensors"),
        ("run", "link.safetensors"),
        ("link.safetensors", "run/weights.safetensors"),
    ):
        assert run_command("weights", "convert", source, "--out", out, "--overwrite") == 2
        assert "this is the file to convert" in capsys.readouterr().err
    assert files_in(place) == before


def test_an_exported_network_is_not_exported_again(
    place: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "net.onnx").write_bytes(b"\x08\t\x12\x08clothseg:\xf1\xc3\xf9" + bytes(100))
    for words in (
        ("export", "net.onnx", "--out", "again.onnx"),
        ("weights", "convert", "net.onnx", "--out", "a.safetensors"),
        ("weights", "inspect", "net.onnx"),
        ("evaluate", "net.onnx", "data"),
        ("compose", "data/images/val1.jpg", "data/images/val2.jpg", "--replace", "net.onnx", "--out", "a.png"),
    ):
        assert run_command(*words) == 2
        error = capsys.readouterr().err
        assert "net.onnx: an exported network (ONNX)" in error or "not a run" in error, (words, error)


def test_every_folder_of_a_merge_must_have_shards(
    place: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--format", "jsonl", "--quiet", "--score-threshold", 0)
    assert run_command("predict", "run", "data/images", "--out", "job", *words) == 0
    for other, reason in (("data", "data: no shards here"), ("jobs", "jobs: no such folder; did you mean job?")):
        assert run_command("merge", "job", other, "--out", "merged") == 2
        assert reason in capsys.readouterr().err
        assert not (place / "merged").exists()


def test_a_learning_curve_with_damaged_results_of_a_part(
    place: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ("train.epochs=1", "train.batch_size=1", "train.steps_per_epoch=1", "train.workers=0")
    settings = [word for value in (*TINY, *small) for word in ("--set", value)]
    call = ("learning-curve", "data", "--out", "curve", "--parts", "1", "--quiet", *settings)
    assert run_command(*call) == 0
    (file,) = (place / "curve").glob("photos-*/predictions.json")
    for content in (b"[{", b"{}", b"[1]", b'[{"image_id": 99, "category_id": 1, "score": 1, "bbox": [1, 2, 3, 4]}]'):
        file.write_bytes(content)
        capsys.readouterr()
        assert run_command(*call, "--resume") == 2
        error = capsys.readouterr().err
        assert "predictions.json: " in error and len(error.strip().splitlines()) == 1, error
