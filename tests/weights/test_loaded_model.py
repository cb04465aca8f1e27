"""From a weights file to a network."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.weights import convert_weights, load_model, read_network, read_weights, write_network


def test_an_incomplete_file_is_an_error(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path]
) -> None:
    half = {name: tensor for name, tensor in torchvision_state.items() if "roi_heads.mask_head" not in name}
    with pytest.raises(WeightsError, match=r"half\.pth: .*start new.*: mask_head\.convs.* not complete"):
        load_model(save(half, "half.pth"))


def test_a_backbone_cannot_predict(save: Callable[[object, str], Path]) -> None:
    path = save(torchvision.models.resnet18(weights=None).state_dict(), "resnet18.pth")
    with pytest.raises(WeightsError, match=r"resnet18\.pth: .*no heads, .*clothseg fit DATA --weights .*resnet18\.pth"):
        load_model(path)


def test_the_number_of_class_names_must_fit(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path]
) -> None:
    path = save(torchvision_state, "file.pth")
    with pytest.raises(WeightsError, match="has 2 classes, but 3 names"):
        load_model(path, classes=["a", "b", "c"])
    assert load_model(path, classes=["Suit", "Dress"]).classes == ["Suit", "Dress"]


@pytest.mark.parametrize(
    ("names", "message"),
    [(["tie", "Tie"], "two classes are called 'tie' and 'Tie'"), (["tie", " "], "must not be empty")],
)
def test_class_names_must_be_unique_and_not_empty(
    names: list[str], message: str, torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path]
) -> None:
    with pytest.raises(WeightsError, match=message):
        load_model(save(torchvision_state, "file.pth"), classes=names)


def test_a_converted_file_has_the_same_tensors_settings_and_classes(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path], tmp_path: Path
) -> None:
    path, out = save(torchvision_state, "file.pth"), tmp_path / "out.safetensors"
    convert_weights(path, out, overrides=["input.min_side=320"], classes=["Suit", "Dress"])
    saved, model = read_network(out), load_model(path)
    assert saved.classes == ["Suit", "Dress"]
    assert saved.config.input.min_side == 320
    assert saved.tensors.keys() == model.network.state_dict().keys()
    assert all(torch.equal(saved.tensors[name], tensor) for name, tensor in model.network.state_dict().items())


def test_a_file_is_not_converted_onto_itself(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path]
) -> None:
    path = save(torchvision_state, "file.safetensors")
    before = path.read_bytes()
    with pytest.raises(WeightsError, match="this is the file to convert"):
        convert_weights(path, path.parent / "." / path.name)
    assert path.read_bytes() == before


def test_a_converted_backbone_is_a_backbone(save: Callable[[object, str], Path], tmp_path: Path) -> None:
    path = save(torchvision.models.resnet18(weights=None).state_dict(), "resnet18.pth")
    assert "tensors of a backbone" in convert_weights(path, tmp_path / "out.safetensors")
    converted = read_weights(tmp_path / "out.safetensors")
    assert converted.classes is None
    assert converted.settings["backbone"]["name"] == "resnet18"
    assert {name.split(".")[0] for name in converted.tensors} == {"backbone"}


def test_weights_in_16_bits_are_the_rounded_ones_and_half_the_size(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path], tmp_path: Path
) -> None:
    path = save(torchvision_state, "file.pth")
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    convert_weights(path, full)
    convert_weights(path, half, half=True)
    before, after = read_network(full).tensors, read_network(half).tensors
    for name, tensor in before.items():
        rounded = tensor.numpy().astype("float16").astype("float32") if tensor.is_floating_point() else tensor.numpy()
        assert torch.equal(after[name], torch.from_numpy(rounded)), name
    assert half.stat().st_size < 0.55 * full.stat().st_size


def test_a_value_beyond_16_bits_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"backbone\.scale: a value above 65504"):
        write_network(tmp_path / "file.safetensors", {"backbone.scale": torch.tensor([7e4])}, Config(), [], half=True)
    assert not list(tmp_path.iterdir())
