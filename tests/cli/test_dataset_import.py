"""`clothseg dataset import` and `export` as a user types them."""

import json
import re
from pathlib import Path

import label_files
import numpy as np
import pytest

from .conftest import RunCommand

MASK = np.zeros((30, 40), dtype=bool)
MASK[4:20, 5:25] = True
TRUTH = {stem: [("Dress", MASK)] for stem in "abcde"}


def test_there_and_back(run_command: RunCommand, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label_files.write_labelme(tmp_path / "labels", TRUTH)
    assert (
        run_command("dataset", "import", tmp_path / "labels", "--out", tmp_path / "data", "--classes", "Dress=Gown")
        == 0
    )
    shown = " ".join(capsys.readouterr().out.split())
    assert "labelme: 5 JSON files, 5 photos." in shown
    assert "Gown" in shown
    for form in ("coco", "yolo", "label-maps"):
        assert run_command("dataset", "export", tmp_path / "data", "--format", form, "--out", tmp_path / form) == 0
        assert "train: 4 photos, 4 objects" in capsys.readouterr().out
    words = ("--format", "voc", "--val-fraction", "0.5", "--json")
    assert run_command("dataset", "import", tmp_path / "label-maps", "--out", tmp_path / "back", *words) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["splits"]["val"]["photos"] in {2, 3}
    assert summary["reasons"] == {}


def test_a_broken_file_is_named_and_the_rest_goes_on(
    run_command: RunCommand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label_files.write_labelme(tmp_path / "labels", TRUTH)
    (tmp_path / "labels" / "b.json").write_text("{")
    assert run_command("dataset", "import", tmp_path / "labels", "--out", tmp_path / "data", "--quiet") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.search(r"b\.json: broken_file: .*cannot be read as JSON", captured.err)
    assert len(label_files.objects_of(tmp_path / "data")) == 4


def test_wrong_input_writes_nothing(
    run_command: RunCommand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert run_command("dataset", "import", tmp_path / "empty", "--out", tmp_path / "data") == 2
    assert "no labels of a known format" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "data").exists()


def test_the_help_lists_both(run_command: RunCommand, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("dataset", "--help") == 0
    shown = capsys.readouterr().out.partition("Commands")[2]
    assert shown.index(" build ") < shown.index(" import ") < shown.index(" check ") < shown.index(" export ")
    assert run_command("dataset", "import", "--help") == 0
    assert "YOLO, labelme" in capsys.readouterr().out
