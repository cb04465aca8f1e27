"""Where commands write without --out: at a place with a plain name, and never over what is there."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clothseg import sample
from clothseg.config import Config
from clothseg.models import MaskRCNN
from clothseg.openimages import BuildOptions, build_dataset

from .conftest import TINY, RunCommand


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def make_data(folder: Path) -> None:
    build_dataset(sample.folder(), folder / "data" / "clothes", ["Suit"], BuildOptions(limit=2, max_size=64))


def make_pictures(folder: Path) -> None:
    Image.fromarray(np.full((20, 10, 4), 255, np.uint8)).save(folder / "garment.png")
    Image.new("RGB", (40, 60)).save(folder / "street.jpg")


def make_weights(folder: Path) -> None:
    MaskRCNN(Config.load("demo", TINY)).build(["Suit"]).save(folder / "net.v1.safetensors")
    (folder / "net.v1.safetensors").rename(folder / "old.safetensors")
    (folder / "below").mkdir()
    (folder / "old.safetensors").rename(folder / "below" / "net.v1.safetensors")


CASES = {
    "yolo": (make_data, ("dataset", "export", "data/clothes", "--format", "yolo"), "exports/clothes-yolo"),
    "label maps": (
        make_data,
        ("dataset", "export", "data/clothes/", "--format", "label-maps"),
        "exports/clothes-label-maps",
    ),
    "compose": (make_pictures, ("compose", "garment.png", "street.jpg"), "composed.jpg"),
    "convert": (make_weights, ("weights", "convert", "below/net.v1.safetensors"), "net.v1.safetensors"),
}


@pytest.mark.parametrize("case", CASES)
def test_without_out_there_is_a_place_and_nothing_is_overwritten(
    case: str, tmp_path: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    make, words, place = CASES[case]
    make(tmp_path)
    inputs = files_in(tmp_path)
    assert run_command(*words) == 0
    assert place in capsys.readouterr().err
    written = files_in(tmp_path)
    assert {name for name in written if not name.startswith(place)} == set(inputs)
    assert {name: written[name] for name in inputs} == inputs
    assert run_command(*words) == 2
    assert f"{place} exists already" in capsys.readouterr().err
    assert files_in(tmp_path) == written
    assert run_command(*words, "--overwrite") == 0


def test_weights_are_not_converted_onto_themselves(
    tmp_path: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_weights(tmp_path)
    monkeypatch.chdir(tmp_path / "below")
    before = files_in(tmp_path)
    for more in ((), ("--overwrite",)):
        assert run_command("weights", "convert", "net.v1.safetensors", *more) == 2
        assert files_in(tmp_path) == before
