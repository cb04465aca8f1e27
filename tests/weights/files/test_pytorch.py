"""Files of torch.save: nothing runs, damage is described."""

import re
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from clothseg.errors import WeightsError
from clothseg.weights.files.pytorch import is_pytorch, read_pytorch


class Touch:
    """Creates a file when Python unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_torch_file_does_not_run_code(save: Callable[[object, str], Path], tmp_path: Path) -> None:
    created = tmp_path / "created"
    path = save({"model": Touch(created)}, "weights.pth")
    with pytest.raises(WeightsError, match="could run code"):
        read_pytorch(path)
    assert not created.exists()
    torch.load(path, weights_only=False)
    assert created.exists()  # so the file above does run code if torch reads it without care


@pytest.mark.parametrize("zipped", [True, False])
def test_both_file_versions_are_recognized_and_read(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.arange(3.0)}, path, _use_new_zipfile_serialization=zipped)
    assert is_pytorch(path.read_bytes()[:64])
    assert torch.equal(read_pytorch(path)["a"], torch.arange(3.0))


def test_arguments_of_a_training_script_are_read(save: Callable[[object, str], Path]) -> None:
    assert read_pytorch(save({"args": Namespace(lr=0.1)}, "weights.pth"))["args"].lr == 0.1


def test_another_object_is_reported(save: Callable[[object, str], Path]) -> None:
    with pytest.raises(WeightsError, match="contains list, not a dict"):
        read_pytorch(save([torch.zeros(2)], "weights.pth"))


def cut(path: Path, content: bytes) -> None:
    path.write_bytes(content[:100_000])


def cut_legacy(path: Path, _: bytes) -> None:
    torch.save({"weight": torch.zeros(5000)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:3000])


def damaged(path: Path, _: bytes) -> None:
    torch.save({"weight": torch.zeros(5000)}, path)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = next(part.header_offset for part in archive.infolist() if part.filename.endswith("/data.pkl"))
    content[start + 40 : start + 200] = b"?" * 160
    path.write_bytes(content)


def other_zip(path: Path, _: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.txt", "no weights")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (cut, "cut short"),
        (cut_legacy, "old format that is cut short or damaged"),
        (damaged, "is damaged"),
        (other_zip, "a zip file that torch.save did not write"),
    ],
)
def test_damage_is_described_without_names_of_torchs_parts(
    write: Callable[[Path, bytes], None], message: str, torch_bytes: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth"
    write(path, torch_bytes)
    with pytest.raises(WeightsError, match=message) as caught:
        read_pytorch(path)
    assert str(path) in str(caught.value)
    assert not re.search("miniz|PytorchStreamReader|archive", str(caught.value))
