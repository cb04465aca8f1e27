"""Checkpoints: damaged files and a full disk."""

import errno
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from clothseg.config import Config
from clothseg.errors import RunError
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder
from clothseg.training import read_checkpoint
from clothseg.training.checkpoint import Checkpoint, write_checkpoint

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


@pytest.mark.parametrize("limit", [100, 40_000, 400_500, 800_000])
def test_what_the_system_says_about_a_full_disk_is_kept(tmp_path: Path, limit: int) -> None:
    """A real limit, at the beginning, in a tensor, between two, and in the last: torch says different things then."""
    resource = pytest.importorskip("resource", reason="Windows has no limit of a file's size")
    tensors = {str(number): torch.full((50_000,), float(number)) for number in range(5)}
    checkpoint = Checkpoint(**{field.name: None for field in fields(Checkpoint)} | {"network": tensors})  # type: ignore[arg-type]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_checkpoint(tmp_path / "last.pt", checkpoint)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []
