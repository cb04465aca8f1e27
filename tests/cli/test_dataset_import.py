"""`clothseg dataset import` and `export` as a user types them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import label_files
import numpy as np
import pytest

from clothseg.dataset.importing import import_dataset

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


def test_without_out_the_dataset_has_the_name_of_the_source(
    run_command: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    label_files.write_labelme(tmp_path / "my labels", TRUTH)
    assert run_command("dataset", "import", "my labels", "--quiet") == 0
    assert len(label_files.objects_of(tmp_path / "data" / "my labels")) == 5
    label_files.write_labelme(tmp_path / "data" / "other", TRUTH)
    before = sorted(path.read_bytes() for path in (tmp_path / "data" / "other").rglob("*") if path.is_file())
    assert run_command("dataset", "import", "data/other") == 2  # the source is there already, and stays
    assert sorted(p.read_bytes() for p in (tmp_path / "data" / "other").rglob("*") if p.is_file()) == before


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


NAMES = ["Юбка", "连衣裙", "فستان", "원피스", "Sukně", "👗 dress"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_names_in_any_script(encoding: str, tmp_path: Path) -> None:
    """A pipe of an old encoding gets UTF-8; a file system without UTF-8 stops nothing. The files have the names."""
    truth = {f"{name} {n}": [(name, MASK)] for name in NAMES for n in range(2)}
    label_files.write_labelme(tmp_path / "фото", truth)
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C"}
    command = [sys.executable, "-m", "clothseg", "dataset"]
    words = [*command, "import", str(tmp_path / "фото"), "--out", str(tmp_path / "数据"), "--val-fraction", "0.5"]
    done = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr.count(b"\n")) == (0, 1), done.stderr  # what to do next
    assert all(name in done.stdout.decode("utf-8") for name in NAMES)
    found, want = label_files.objects_of(tmp_path / "数据"), label_files.expected(truth)
    assert sorted(found.values()) == sorted(
        want.values()
    )  # without UTF-8 in the file system, photos are called `___ 1`
    for form in ("yolo", "label-maps"):
        words = [*command, "export", str(tmp_path / "数据"), "--format", form, "--out", str(tmp_path / form)]
        assert subprocess.run(words, env=environment, check=False).returncode == 0
        imported = import_dataset(tmp_path / form, tmp_path / f"{form} back")
        assert sorted(imported.classes) == sorted(NAMES)


def test_the_help_lists_both(run_command: RunCommand, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("dataset", "--help") == 0
    shown = capsys.readouterr().out.partition("Commands")[2]
    assert shown.index(" build ") < shown.index(" import ") < shown.index(" check ") < shown.index(" export ")
    assert run_command("dataset", "import", "--help") == 0
    assert "YOLO, labelme" in capsys.readouterr().out
