"""`clothseg dataset build` as a user types it."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clothseg import sample
from clothseg.cli.app import app, main
from clothseg.errors import ClothsegError, DataError

runner = CliRunner()


def build(*words: object) -> tuple[int, str, str]:
    result = runner.invoke(app, ["dataset", "build", *map(str, words)])
    if isinstance(result.exception, ClothsegError):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_sample_means_the_installed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = build("sample", "--out", "a dataset", "--limit", "12", "--keep-empty")
    assert code == 0
    assert all(word in out for word in ("Suit", "Dress", "Jeans", "a dataset"))
    categories = json.loads((tmp_path / "a dataset" / "annotations" / "val.json").read_text())["categories"]
    assert [(c["id"], c["name"]) for c in categories] == [(1, "Suit"), (2, "Dress"), (3, "Jeans")]


def test_a_local_folder_called_sample_is_used_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sample").mkdir()
    with pytest.raises(DataError, match="sample: an empty folder, not a folder of Open Images files"):
        build("sample", "--out", "out")


def test_classes_repeated_or_with_commas_keep_their_order(tmp_path: Path) -> None:
    code, out, _ = build(
        "sample", "--out", tmp_path / "out", "--classes", "Jeans,Hat", "--classes", "suit", "--limit", 20, "--json"
    )
    summary = json.loads(out)
    assert code == 0
    assert summary["classes"] == ["Jeans", "Hat", "Suit"]
    document = json.loads((tmp_path / "out" / "annotations" / "train.json").read_text())
    assert summary["train"]["masks"] == sum(not a["iscrowd"] for a in document["annotations"])
    assert summary["train"]["regions"] == sum(a["iscrowd"] for a in document["annotations"])


def test_missing_photos_give_exit_code_1_and_are_listed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(sample.folder(), source, ignore=shutil.ignore_patterns("__pycache__"))
    photos = sorted((source / "train").iterdir())
    for photo in photos[30:]:
        photo.unlink()
    code, out, err = build(source, "--out", tmp_path / "out", "--quiet")
    assert code == 1
    assert out == ""
    assert "missing_photo" in err
    assert "dataset.yaml" in err
    assert " more; " in err
    assert (tmp_path / "out" / "dataset.yaml").is_file()


def test_wrong_input_gives_exit_code_2_and_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["clothseg", "dataset", "build", "sample", "--out", str(tmp_path / "out"), "--classes", "Suits,Coatt"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert "'Suits'; similar: Suit" in " ".join(err.split())
    assert "Coat" in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_the_test_split_is_named_and_then_built(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(sample.folder(), source, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*source.glob("validation*"), *source.glob("validation-masks/*")]:
        copy = source / str(path.relative_to(source)).replace("validation", "test")
        if path.is_file():
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(path, copy)
        elif path.name == "validation":
            shutil.copytree(path, copy)
    words = (source, "--classes", "Suit,Dress,Jeans", "--val-fraction", 0.2)
    code, out, _ = build(*words, "--out", tmp_path / "without")
    assert code == 0
    assert "--include-test adds it" in out
    code, out, _ = build(*words, "--out", tmp_path / "with", "--include-test")
    assert code == 0
    assert "--include-test" not in out
    heading = [line.split() for line in out.splitlines()[:6]]
    assert any(words.count("test") == 2 for words in heading), out
    assert (tmp_path / "with" / "annotations" / "test.json").is_file()


def test_help_has_an_example() -> None:
    code, out, _ = build("--help")
    assert code == 0
    assert "Example: clothseg dataset build" in out
