"""Files and folders that may not be read."""

import os
from pathlib import Path

import pytest

from clothseg import sample
from clothseg.openimages import BuildOptions, build_dataset

from .conftest import RunCommand


@pytest.mark.parametrize("closed", ["annotations/train.json", "annotations"])
def test_annotations_without_permission_are_named(
    closed: str, tmp_path: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The rights are taken away in Python, because the superuser may read everything."""
    build_dataset(sample.folder(), tmp_path / "data", ["Suit"], BuildOptions(limit=2, max_size=64))
    place = tmp_path / "data" / closed

    def read_bytes(path: Path) -> bytes:
        if path == place:
            raise PermissionError(13, "Permission denied", str(path))
        return path.open("rb").read()

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    if place.is_dir():
        real, glob = os.access, Path.glob

        def inside(path: Path, pattern: str) -> list[Path]:
            return [one for one in glob(path, pattern) if place not in one.parents]

        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != place and real(path, mode))
        monkeypatch.setattr(Path, "glob", inside)
    assert run_command("dataset", "check", tmp_path / "data") == 2
    assert capsys.readouterr().err == f"error: {place}: cannot be read (no permission; change its rights)\n"
