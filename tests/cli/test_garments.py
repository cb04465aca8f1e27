"""`cutout`, `compose` and `predict --labels` with an untrained network on real photos."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from clothseg import sample
from clothseg.config import Config
from clothseg.models import MaskRCNN

from .conftest import TINY, RunCommand


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "net.safetensors"
    MaskRCNN(Config.load("demo", [*TINY, "inference.mask_threshold=0.2"])).build(["Suit", "Dress"]).save(path)
    return path


def test_from_photo_to_pasted_picture(
    network: Path, run_command: RunCommand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = sorted((sample.folder() / "validation").glob("*.jpg"))[:2]
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo")
    cut = tmp_path / "cut"
    words = ("--score-threshold", 0)
    assert run_command("cutout", network, bad, first, "--out", cut, *words) == 1
    assert "bad.jpg" in capsys.readouterr().err
    rows = json.loads((cut / "cutouts.json").read_text())["cutouts"]
    assert rows
    with Image.open(cut / rows[0]["file_name"]) as picture:
        assert picture.mode == "RGBA"
        assert list(picture.size) == rows[0]["box"][2:]
    old = ("--edges", "grabcut", "--min-part", 0, "--min-hole", 0)
    assert run_command("cutout", network, first, "--out", tmp_path / "old", *words, *old) == 0
    assert run_command("cutout", network, first, "--out", tmp_path / "no", *words, "--min-part", 1) == 2
    garment = cut / rows[0]["file_name"]
    assert run_command("compose", garment, second, "--at", "50%,50%", "--out", tmp_path / "a.png") == 0
    with Image.open(second) as before, Image.open(tmp_path / "a.png") as after:
        assert before.size == after.size
        assert (np.asarray(before) != np.asarray(after)).any()
    replace = ("compose", first, second, "--replace", network, "--out", tmp_path / "b.jpg", *words)
    assert run_command(*replace, "--class", rows[0]["class"]) in {0, 2}
    assert run_command(*replace, "--class", "Hat", "--overwrite") == 2
    assert "it knows Suit, Dress" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("cutout", "nowhere", "a.jpg", "--out", "cut"), "no such weights file"),
        (("compose", "a.png", "b.jpg", "--out", "c.jpg"), "no such photo"),
        (("compose", "a.png", "b.jpg", "--out", "c.pdf"), "suffixes"),
        (("compose", "a.png", "b.jpg", "--out", "c.jpg", "--class", "Suit"), "--replace"),
        (("compose", "a.png", "b.jpg", "--out", "c.jpg", "--replace", "run", "--scale", "2"), "remove --at"),
    ],
)
def test_wrong_input_is_one_message_and_writes_nothing(
    words: tuple[str, ...],
    message: str,
    run_command: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(*words) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert list(tmp_path.iterdir()) == []


def test_predict_writes_labels(
    network: Path, run_command: RunCommand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = min((sample.folder() / "validation").glob("*.jpg"))
    out = tmp_path / "found"
    words = ("predict", network, photo, "--out", out, "--score-threshold", 0)
    assert run_command(*words, "--labels", "coco", "--labels", "label-studio") == 0
    assert "as polygons" in capsys.readouterr().err
    theirs = COCO(str(out / "labels-coco.json"))
    assert theirs.loadImgs(theirs.getImgIds())[0]["file_name"] == photo.name
    assert len(theirs.getAnnIds()) > 0
    assert (out / "labels-label-studio.xml").is_file()
    assert run_command(*words, "--overwrite") == 0
    assert not list(out.glob("labels-*")), "labels of the prediction before are gone"


def test_one_garment_goes_to_a_file(
    network: Path,
    run_command: RunCommand,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photo = min((sample.folder() / "validation").glob("*.jpg"))
    words = ("cutout", network, photo, "--score-threshold", 0)
    assert run_command(*words, "--out", tmp_path / "cut") == 0
    rows = json.loads((tmp_path / "cut" / "cutouts.json").read_text())["cutouts"]
    best = max(rows, key=lambda row: row["score"])
    assert run_command(*words, "--class", best["class"].lower(), "--out", tmp_path / "dress.png") == 0
    with Image.open(tmp_path / "dress.png") as one, Image.open(tmp_path / "cut" / best["file_name"]) as same:
        assert np.array_equal(np.asarray(one), np.asarray(same))
    assert run_command(*words, "--out", tmp_path / "dress.png") == 2
    assert "exists already" in capsys.readouterr().err
    assert run_command(*words, "--out", tmp_path / "dress.jpg") == 2
    assert "must end in .png" in capsys.readouterr().err
    assert run_command(*words, photo.parent, "--out", tmp_path / "all.png") == 2
    assert "a file is for one photo" in capsys.readouterr().err
    assert run_command("cutout", network, photo, "--score-threshold", 1, "--out", tmp_path / "none.png") == 2
    assert "no garment found" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    assert run_command(*words, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert (tmp_path / "cutouts" / "cutouts.json").is_file()


class _LikeExported:
    """What `load_exported` returns, computed by PyTorch, because an export takes long."""

    def __init__(self, network: Path) -> None:
        self.model = MaskRCNN.load(network)
        self.classes, self.find, self.selection = self.model.classes, self.model.predict, self.model.selection


def test_an_exported_network_cuts_out_all_garments_of_a_folder(
    network: Path, run_command: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clothseg.cli.cutout.load_exported", lambda *_: _LikeExported(network))
    (tmp_path / "net.onnx").write_bytes(b"the loader is replaced")
    photo = min((sample.folder() / "validation").glob("*.jpg"))
    words = (photo, "--score-threshold", 0, "--out")
    assert run_command("cutout", tmp_path / "net.onnx", *words, tmp_path / "exported") == 0
    assert run_command("cutout", network, *words, tmp_path / "own") == 0
    one, other = (json.loads((tmp_path / name / "cutouts.json").read_text()) for name in ("exported", "own"))
    assert one["cutouts"] == other["cutouts"] != []
