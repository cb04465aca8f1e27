"""The command line: help, versions, exit codes, encodings, and messages without a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from clothseg import __version__, sample
from clothseg.cli import main
from clothseg.cli.app import ORDER
from clothseg.config import Config, preset_names
from clothseg.errors import ConfigError
from clothseg.models import MaskRCNN

from .conftest import TINY, RunCommand


def test_help_names_the_commands(run_command: RunCommand, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("--help") == 0
    shown = capsys.readouterr().out
    places = [shown.index(f" {name} ", shown.index("Commands")) for name in ORDER]
    assert places == sorted(places)


def test_the_version_is_printed_once(run_command: RunCommand, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("--version") == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert (names[0], names.count("clothseg")) == ("clothseg", 1)
    assert {"python", "torch"} <= set(names)
    assert run_command("--version") == 0
    assert capsys.readouterr().out.splitlines()[0] == f"clothseg {__version__}"


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["clothseg", "--debug", "config", "show", "missing"])
    with pytest.raises(ConfigError, match="missing"):
        main()


def test_every_setting_is_shown_with_its_meaning(
    run_command: RunCommand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command("config", "show", "demo", "--set", "train.epochs=7") == 0
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    place = lines.index("  epochs: 7")
    assert lines[place - 1].startswith("  # ")
    keys = [number for number, line in enumerate(lines) if line.strip() and not line.strip().startswith("#")]
    assert len(keys) > 100
    assert all(lines[number - 1].strip().startswith("# ") for number in keys)
    (tmp_path / "shown.yaml").write_text(shown, encoding="utf-8")
    assert Config.load(tmp_path / "shown.yaml") == Config.load("demo", ["train.epochs=7"])
    assert run_command("config", "show") == 0
    assert "paper/l2" in [line.split()[0] for line in capsys.readouterr().out.splitlines()]


def test_paragraphs_of_the_help_have_no_line_breaks(
    run_command: RunCommand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert run_command("fit", "--help") == 0
    paragraph = next(line for line in capsys.readouterr().out.splitlines() if "Three ways to continue" in line)
    assert "of another run." in paragraph


WITH_COMMANDS = {
    "dataset": ("classes", "stats", "download", "build", "import", "export", "check", "show"),
    "weights": ("inspect", "convert", "download"),
    "config": ("show",),
}


@pytest.mark.parametrize("name", ORDER)
def test_help_of_a_small_terminal_has_whole_names(
    name: str, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for below in WITH_COMMANDS.get(name, ("",)):
        assert run_command(*f"{name} {below}".split(), "--help") == 0
        shown = capsys.readouterr().out
        assert "…" not in shown
        assert max(map(len, shown.splitlines())) <= 80


@pytest.fixture
def cyrillic(tmp_path: Path) -> Path:
    """A dataset with one photo, and a class whose name cp1252 cannot encode."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").mkdir()
    Image.new("RGB", (60, 40), "white").save(tmp_path / "images" / "a.jpg")
    tree = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "платье"}],
        "annotations": [],
    }
    (tmp_path / "annotations" / "val.json").write_text(json.dumps(tree), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "text"), [(("classes", "sample"), "└─"), (("check", "cyrillic", "--json"), "платье")], ids=["box", "json"]
)
def test_windows_pipes_take_every_character(words: tuple[str, ...], text: str, cyrillic: Path) -> None:
    places = [str(cyrillic) if word == "cyrillic" else word for word in words]
    done = subprocess.run(
        [sys.executable, "-m", "clothseg", "dataset", *places],
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert "Traceback" not in done.stderr.decode()
    assert done.returncode in {0, 1}
    assert text in done.stdout.decode("utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fit", "nowhere", "--out", "run", "--config", "nothing"), "no such configuration"),
        (("fit", "nowhere", "--out", "run", "--set", "train.epoch=3"), "did you mean train.epochs?"),
        (("fit", "nowhere", "--out", "run"), "no such file or folder; expected a dataset"),
        (("predict", "nowhere", "photo.jpg", "--out", "found"), "no such weights file"),
        (("evaluate", "nowhere", "nothing"), "no such file"),
        (("config", "show", "demo", "--set", "network"), "write it as section.key=value"),
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


def test_predict_continues_after_a_bad_photo(
    run_command: RunCommand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MaskRCNN(Config.load("demo", TINY)).build(["Suit", "Dress"]).save(tmp_path / "net.safetensors")
    good = min((sample.folder() / "validation").glob("*.jpg"))
    bad = tmp_path / "empty.jpg"
    bad.write_bytes(b"")
    out = tmp_path / "found"
    words = ("predict", tmp_path / "net.safetensors", bad, good, "--out", out, "--score-threshold", "0")
    assert run_command(*words) == 1
    assert "empty.jpg" in capsys.readouterr().err
    results = json.loads((out / "predictions.json").read_text())
    with Image.open(good) as photo:
        width, height = photo.size
    assert len(results) == 2
    assert all(r["segmentation"]["size"] == [height, width] and r["category_id"] in {1, 2} for r in results)
    with Image.open(next(out.glob("*.png"))) as picture:
        assert picture.size == (width, height)


def test_each_preset_is_listed_with_its_meaning(run_command: RunCommand, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("config", "show") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == preset_names()
    assert all(len(line.split()) > 4 and len(line) <= 150 for line in lines)


def test_inspecting_weights_fits_on_a_screen(
    run_command: RunCommand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MaskRCNN(Config.load("demo", TINY)).build(["Suit"]).save(tmp_path / "net.safetensors")
    assert run_command("weights", "inspect", tmp_path / "net.safetensors") == 0
    short = capsys.readouterr().out
    assert len(short.splitlines()) <= 24
    assert "input.height: 96" in short
    assert "--settings prints all" in short
    wrong = ("--set", "network.box_head.fc_dim=99", "--set", "network.fpn.channels=96")
    assert run_command("weights", "inspect", tmp_path / "net.safetensors", *wrong) == 1
    short = capsys.readouterr().out
    assert len(short.splitlines()) <= 30
    assert "shape_mismatch" in short
    assert run_command("weights", "inspect", tmp_path / "net.safetensors", "--all") == 0
    assert len(capsys.readouterr().out.splitlines()) > 100
