"""`clothseg fit`: what it refuses when a run continues, and what may change. `clothseg curves`."""

import shlex
import shutil
from pathlib import Path

import pytest

from clothseg import sample
from clothseg.cli.fit import finish
from clothseg.config import Config
from clothseg.openimages import BuildOptions, build_dataset
from clothseg.runs import RunFolder
from clothseg.training.history import HistoryRow, write_history

from .conftest import RunCommand

TINY = [
    "backbone.name=timm/test_efficientnet",
    "network.fpn.channels=16",
    "network.box_head.fc_dim=32",
    "network.mask_head.channels=16",
    "train.batch_size=1",
    "weights=random",
]


def test_a_run_continues_with_its_own_configuration(
    tmp_path: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    build_dataset(sample.folder(), data, ["Suit", "Dress", "Jeans"], BuildOptions(limit=2, max_size=64))
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    run.config.write_text(Config.load("demo", TINY).to_yaml())
    kept = run.config.read_text()
    other = tmp_path / "other.yaml"
    other.write_text(Config.load("demo", [*TINY, "train.momentum=0.5", "train.epochs=99"]).to_yaml())

    assert run_command("fit", data, "--out", run.path, "--resume", "--config", other) == 2
    said = capsys.readouterr().err
    assert "train.momentum: 0.9 in the run, 0.5 now" in said
    assert "train.epochs:" not in said
    assert run.config.read_text() == kept

    assert run_command("fit", data, "--out", run.path, "--resume", "--set", "train.epochs=3") == 2
    assert "its own configuration; remove --set" in capsys.readouterr().err

    assert run_command("fit", data, "--out", run.path, "--resume", "--on-nonfinite", "skip") == 2
    assert "no checkpoint" in capsys.readouterr().err  # nothing was wrong with the settings
    assert Config.load(run.config).train.on_nonfinite == "skip"


def test_curves_of_the_runs_with_a_history(
    tmp_path: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[HistoryRow] = [{"epoch": n} | {f"{part}_total": 3.0 - n for part in ("train", "val")} for n in (1, 2)]
    write_history(RunFolder(tmp_path / "good").history, rows, ())
    (tmp_path / "died").mkdir()
    out = tmp_path / "curves.png"
    assert run_command("curves", tmp_path / "good", tmp_path / "died", "--out", out) == 1
    assert f"not drawn: {tmp_path / 'died'}: an empty folder, not the folder of a run" in capsys.readouterr().err
    assert out.read_bytes().startswith(b"\x89PNG")
    assert run_command("curves", tmp_path / "died", "--out", tmp_path / "none.png") == 2
    assert not (tmp_path / "none.png").exists()


def test_photos_without_labels_are_learned_from_and_bad_ones_named(
    tmp_path: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out, free = tmp_path / "data", tmp_path / "run", tmp_path / "more photos"
    build_dataset(sample.folder(), data, ["Suit", "Dress", "Jeans"], BuildOptions(limit=3))
    free.mkdir()
    shutil.copy(sorted((sample.folder() / "train").glob("*.jpg"))[-1], free / "new one.jpg")
    shutil.copy(next((data / "images").glob("*.jpg")), free / "known.jpg")
    (free / "broken.jpg").write_bytes(b"x")
    settings = [*TINY, "weights=random", "train.epochs=2", "train.steps_per_epoch=1", "train.ema_decay=0.5",
                "unlabelled.burn_in=0.5", "unlabelled.score_threshold=0", "unlabelled.ignore_threshold=0"]  # fmt: skip
    words = [word for setting in settings for word in ("--set", setting)]
    assert run_command("fit", data, "--out", out, "--unlabelled", free, *words) == 1, "a photo cannot be read"
    said = " ".join(capsys.readouterr().err.split())
    assert "1 photo without labels to learn from" in said
    assert "broken.jpg" in said and "known.jpg: a copy of the" in said
    assert "the teacher labelled 1 photos" in " ".join((out / "log.txt").read_text().split())
    assert run_command("fit", data, "--out", out, "--resume", "--unlabelled", free) == 2
    assert "--unlabelled" in capsys.readouterr().err


def test_the_next_command_can_be_pasted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, data = RunFolder(tmp_path / "my runs" / "it's first"), tmp_path / "my data"
    finish(run, data, [], quiet=False)
    words = capsys.readouterr().err.split("next: ")[1]
    assert shlex.split(words) == ["clothseg", "evaluate", str(run.path), str(data)]
