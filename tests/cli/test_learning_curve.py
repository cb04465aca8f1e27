"""`clothseg learning-curve` on a few tiny photos: the files, resuming, and what is refused."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from clothseg import sample
from clothseg.models import Model
from clothseg.openimages import BuildOptions, build_dataset
from clothseg.training.trainer import Trainer

from .conftest import RunCommand

TINY = [
    "backbone.name=timm/test_efficientnet",
    "network.fpn.channels=16",
    "network.box_head.fc_dim=32",
    "network.mask_head.channels=16",
    "input.height=64",
    "input.width=64",
    "train.batch_size=1",
    "train.epochs=1",
    "train.stages=[{end_epoch: 1, learning_rate: 0.001, trainable: heads}]",
    "train.steps_per_epoch=1",
    "train.workers=0",
    "weights=random",
]


def test_parts_are_trained_once(
    tmp_path: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data, out = tmp_path / "data", tmp_path / "runs" / "data-curve"
    build_dataset(sample.folder(), data, ["Suit", "Dress", "Jeans"], BuildOptions(limit=6, max_size=64))
    settings = [word for value in TINY for word in ("--set", value)]
    assert run_command("learning-curve", data, "--parts", "2,3,1", *settings) == 0
    assert "mask AP 0.0" in capsys.readouterr().out
    runs = sorted(out.glob("photos-*"))
    assert [run.name for run in runs][:2] == ["photos-0002", "photos-0003"]
    assert len(runs) == 3
    tree = json.loads((out / "learning-curve.json").read_text())
    assert [point["photos"] for point in tree["points"]] == [int(run.name[7:]) for run in runs]
    assert "rise" in tree["extrapolation"]["reason"]
    assert (out / "learning-curve.html").is_file()
    before = [(run / "weights.safetensors").stat().st_mtime_ns for run in runs]

    (runs[1] / "predictions.json").unlink()  # as if it stopped after this training
    again = ("learning-curve", data, "--out", out, "--parts", "2,3,1", "--resume", "--quiet", "--json", *settings)
    assert run_command(*again) == 0
    assert json.loads(capsys.readouterr().out) == tree
    assert [(run / "weights.safetensors").stat().st_mtime_ns for run in runs] == before

    assert run_command(*again, "--set", "train.momentum=0.5") == 2
    message = "was begun with different values of config (train.momentum was 0.9, is 0.5 now); repeat"
    assert message in capsys.readouterr().err
    assert run_command(*again, "--seed", 1) == 2
    assert "different values of parts" in capsys.readouterr().err
    assert run_command("learning-curve", data, "--out", out, *settings) == 2
    assert "exists already; choose another place, or add --resume to continue it, or" in capsys.readouterr().err
    for parts, message in {
        "9/8": "--parts: 9/8 of 6 photos is not possible; use fractions up to 1, or numbers of photos from 2 to 6",
        "": "--parts: there is no part; the default is 1/8,1/4,1/2,1",
        ",": "--parts: there is no part; the default is 1/8,1/4,1/2,1",
    }.items():
        assert run_command("learning-curve", data, "--out", tmp_path / "new", "--parts", parts, *settings) == 2
        assert capsys.readouterr().err == f"error: {message}\n"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("moment", ["training", "evaluating"])
def test_after_an_interruption_the_same_command_continues(
    tmp_path: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:  # fmt: skip
    """`clothseg fit` could not continue a part: it does not know the photos of it."""
    data, out = tmp_path / "data", tmp_path / "curve"
    build_dataset(sample.folder(), data, ["Suit", "Dress", "Jeans"], BuildOptions(limit=6, max_size=64))
    settings = [word for value in (*TINY, "train.steps_per_epoch=2") for word in ("--set", value)]
    call = ("learning-curve", data, "--out", out, "--parts", "3,1", *settings)
    owner, method = (Trainer, "advance") if moment == "training" else (Model, "predict_dataset")
    real = getattr(owner, method)

    def interrupted(*args: Any, **options: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, interrupted)
        assert run_command(*call) == 1
    (message,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("stopped")]
    assert message.endswith("saved; continue with: the same clothseg learning-curve, with --resume")
    assert run_command(*call) == 2
    assert "--resume to continue it" in capsys.readouterr().err
    assert run_command(*call, "--resume") == 0
    assert len(json.loads((out / "learning-curve.json").read_text())["points"]) == 2


def test_it_continues_when_photos_have_vanished(
    tmp_path: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data", tmp_path / "curve"
    build_dataset(sample.folder(), data, ["Suit", "Dress", "Jeans"], BuildOptions(limit=6, max_size=64))
    settings = [word for value in (*TINY, "train.steps_per_epoch=9") for word in ("--set", value)]
    call = ("learning-curve", data, "--out", out, "--parts", "3,1", "--quiet", *settings)
    assert run_command(*call) == 0
    whole = max(out.glob("photos-*"))
    shutil.rmtree(whole)  # as if it stopped after the first part
    gone = []
    for split in ("train", "val"):
        images = json.loads((data / "annotations" / f"{split}.json").read_text())["images"]
        gone.append(images[0]["file_name"])
        (data / "images" / gone[-1]).unlink()
    capsys.readouterr()
    assert run_command(*call, "--resume") == 1
    error = capsys.readouterr().err
    assert [error.count(f"{name}: no such photo") for name in gone] == [1, 1]
    assert (whole / "weights.safetensors").is_file()
