"""`clothseg compare` with several runs: tables, numbers, pages, and what is refused."""

import json
from pathlib import Path

import pytest

from clothseg.evaluation import evaluate_coco

from .conftest import RunCommand
from .test_evaluate import instance


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The annotations of 12 photos, and three results files: all is found, half of it, nothing of it."""
    truth = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "height": 60, "width": 80} for n in range(12)],
        "annotations": [instance(n, 5 + n) | {"id": n} for n in range(12)],
        "categories": [{"id": 1, "name": "Suit"}],
    }
    good = [instance(n, 5 + n) | {"score": 0.5 + n / 100} for n in range(12)]
    half = [row if row["image_id"] % 2 else instance(row["image_id"], 45) | {"score": 0.9} for row in good]
    (tmp_path / "data/annotations").mkdir(parents=True)
    (tmp_path / "data/annotations/val.json").write_text(json.dumps(truth))
    for name, rows in (("good", good), ("half", half), ("none", [])):
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    (tmp_path / "run").mkdir()
    (tmp_path / "run/predictions.json").write_text(json.dumps(good))
    (tmp_path / "run/metrics.json").write_text(evaluate_coco(truth, good, resamples=0).to_json())
    monkeypatch.chdir(tmp_path)
    return tmp_path


THREE = ("compare", "half.json", "good.json", "none.json", "--data", "data", "--resamples", "100")


def test_three_are_compared_as_text_and_as_json(
    files: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(*THREE) == 0
    text = capsys.readouterr().out
    assert "take good: its mask AP is" in text
    assert "good - half" in text
    assert run_command(*THREE, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [side["title"] for side in found["sides"]] == ["half", "good", "none"]
    assert [(pair["a"], pair["b"]) for pair in found["pairs"]] == [("half", "good"), ("half", "none"), ("good", "none")]
    assert found["pairs"][0]["differences"]["mask_AP"]["interval"]["low"] > 0
    assert run_command(*THREE, "--out", "numbers.json", "--quiet") == 0
    assert json.loads((files / "numbers.json").read_text()) == found


def test_a_page_is_written_to_a_file_or_a_folder(
    files: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(*THREE, "--out", "page.html") == 0
    assert "wrote page.html" in capsys.readouterr().err
    assert "12 photos" in (files / "page.html").read_text()
    assert run_command(*THREE, "--out", "folder") == 0
    assert (files / "folder/comparison.html").is_file()
    assert run_command(*THREE, "--out", "page.html") == 2
    assert "exists already" in capsys.readouterr().err
    assert run_command(*THREE, "--out", "page.html", "--overwrite", "--quiet") == 0
    assert capsys.readouterr().err == ""


def test_two_have_a_page_too(files: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("compare", "run", "half.json", "--data", "data", "--resamples", "100", "--out", "page.html") == 0
    assert "The speed was not measured" in (files / "page.html").read_text()
    assert "take run" in capsys.readouterr().out


def test_wrong_words_are_one_message(files: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (("compare", "run", "--data", "data"), "name at least two"),
        (("compare", "run", "good.json", "run", "--data", "data"), "run is named twice"),
        (("compare", "run", "run", "--data", "data", "--out", "page.html"), "run is named twice"),
        (("compare", "run", "good.json", "nowhere.json", "--data", "data"), "nowhere.json: no such run"),
        (("compare", "run", "good.json", "half.json"), "name it with --data"),
    ):
        assert run_command(*words) == 2, words
        assert message in capsys.readouterr().err
    assert not (files / "page.html").exists()
