"""Checkpoints: damaged files and a full disk."""

from pathlib import Path
from typing import Any

import pytest
import torch

from clothseg.config import Config
from clothseg.errors import RunError
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder
from clothseg.training import read_checkpoint

from .conftest import SMALL, Photos


def test_a_damaged_checkpoint_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"damaged")
    with pytest.raises(RunError, match=r"last\.pt"):
        read_checkpoint(tmp_path / "last.pt")


def test_a_full_disk_keeps_the_last_good_checkpoint(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.load("demo", [*SMALL, "train.checkpoint_every_steps=1"])
    train, val = photos
    save, calls = torch.save, []

    def save_on_full_disk(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        save(*arguments)

    monkeypatch.setattr(torch, "save", save_on_full_disk)
    with pytest.raises(RunError, match=r"No space left.*Make room.*--resume"):
        MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "run", quiet=True)
    folder = RunFolder(tmp_path / "run")
    assert read_checkpoint(folder.last).step == 2
    assert not [p for p in folder.last.parent.iterdir() if p.name.startswith(".")]
