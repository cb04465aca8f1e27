"""The command line as a person meets it: exit codes, and messages without a traceback."""

import json
from pathlib import Path

import pytest
from PIL import Image

from clothseg import sample
from clothseg.cli import main
from clothseg.cli.app import ORDER
from clothseg.config import Config
from clothseg.models import MaskRCNN

TINY = [
    "input.height=96",
    "input.width=64",
    "network.fpn.channels=32",
    "network.box_head.fc_dim=64",
    "network.mask_head.channels=32",
    "inference.score_threshold=0.0",
    "inference.max_detections=2",
]


def clothseg(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["clothseg", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def test_help_names_the_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert clothseg(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    places = [shown.index(f" {name} ", shown.index("Commands")) for name in ORDER]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fit", "nowhere", "--out", "run", "--config", "nothing"), "no such configuration"),
        (("fit", "nowhere", "--out", "run", "--set", "train.epoch=3"), "did you mean epochs?"),
        (("fit", "nowhere", "--out", "run"), "clothseg dataset build"),
        (("predict", "nowhere", "photo.jpg", "--out", "found"), "no such weights file"),
        (("evaluate", "nowhere", "nothing"), "no such file"),
        (("config", "show", "demo", "--set", "network"), "write it as section.key=value"),
    ],
)
def test_wrong_input_is_one_message_and_writes_nothing(
    words: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert clothseg(monkeypatch, *words) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert list(tmp_path.iterdir()) == []


def test_predict_goes_on_after_a_bad_photo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MaskRCNN(Config.load("demo", TINY)).build(["Suit", "Dress"]).save(tmp_path / "net.safetensors")
    good = min((sample.folder() / "validation").glob("*.jpg"))
    bad = tmp_path / "empty.jpg"
    bad.write_bytes(b"")
    out = tmp_path / "found"
    words = ("predict", tmp_path / "net.safetensors", bad, good, "--out", out, "--score-threshold", "0")
    assert clothseg(monkeypatch, *words) == 1
    assert "empty.jpg" in capsys.readouterr().err
    results = json.loads((out / "predictions.json").read_text())
    with Image.open(good) as photo:
        width, height = photo.size
    assert len(results) == 2
    assert all(r["segmentation"]["size"] == [height, width] and r["category_id"] in {1, 2} for r in results)
    with Image.open(next(out.glob("*.png"))) as picture:
        assert picture.size == (width, height)
