"""Files of tensors: the container is recognized by content, all floating-point tensors become float32."""

import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from clothseg.errors import WeightsError
from clothseg.weights.files.tensor_file import read_tensor_file


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.tensor([0.5, 3.0], dtype=dtype), "b": torch.ones(2), "n": torch.tensor([7])}, path)
    file = read_tensor_file(path)
    assert file.stored_dtypes == {"a": str(dtype).removeprefix("torch.")}
    assert file.tensors["a"].dtype == torch.float32
    assert file.tensors["a"].tolist() == [0.5, 3.0]
    assert file.tensors["n"].dtype == torch.int64


def test_tensors_are_found_in_wrappers_next_to_other_values(save: Callable[[object, str], Path]) -> None:
    tensors = {"module.a": torch.zeros(2)}
    file = read_tensor_file(save({"model": {"state_dict": tensors}, "epoch": 3, "optimizer": {}}, "weights.pth"))
    assert file.container == "torch"
    assert file.tensors.keys() == {"a"}
    assert file.metadata == {"epoch": 3}
    assert file.non_tensors == {"epoch": "int, not a tensor", "optimizer": "dict, not a tensor"}


def test_arrays_of_pickles_become_tensors(tmp_path: Path) -> None:
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps({"blobs": {"w": np.arange(3, dtype=">f4")}}, protocol=2))
    file = read_tensor_file(path)
    assert file.container == "pickle"
    assert file.tensors["w"].tolist() == [0, 1, 2]


def test_a_safetensors_file_that_starts_like_a_pickle_is_recognized(
    torchvision_state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """The first byte is the lowest of the header's length. For 1 of 32 files it is the first byte of a pickle."""
    path = tmp_path / "weights.safetensors"
    for padding in range(0, 256, 8):
        save_file(
            {name: tensor.contiguous() for name, tensor in torchvision_state.items()}, path, {"note": "x" * padding}
        )
        if path.read_bytes()[0] == 0x80:
            break
    else:
        pytest.fail("no padding gave that byte")
    assert read_tensor_file(path).container == "safetensors"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>Sign in</html>", "web page"),
        (b"hello, world", "not a weights file of a known type"),
        (struct.pack("<Q", 10**12) + b'{"a": 1}', "cannot be read as safetensors"),
        (pickle.dumps({"epoch": 3}), "without named tensors, .*only epoch"),
        (pickle.dumps({}), "without named tensors"),
    ],
)
def test_what_is_not_a_weights_file_is_reported(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        read_tensor_file(path)
    assert str(path) in str(caught.value)


def test_a_cut_safetensors_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(20_000)}, path)
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(WeightsError, match="cut short"):
        read_tensor_file(path)


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="only Linux lists the files that are mapped")
def test_windows_can_replace_a_file_whose_tensors_are_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows does not replace a file that is mapped to memory."""
    path = tmp_path / "net.safetensors"
    save_file({"a.weight": torch.arange(5000.0)}, path)
    monkeypatch.setattr(sys, "platform", "win32")
    file = read_tensor_file(path)
    assert str(path) not in Path("/proc/self/maps").read_text()
    assert torch.equal(file.tensors["a.weight"], torch.arange(5000.0))


def test_missing_files_and_folders_are_reported(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such weights file"):
        read_tensor_file(tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match="this is a folder"):
        read_tensor_file(tmp_path)
