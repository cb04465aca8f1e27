"""ResNets of torchvision and timm as backbones."""

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.networks import build_network
from clothseg.weights import load_initial_weights, read_weights


@pytest.mark.parametrize("origin", ["torchvision", "timm"])
def test_a_resnet_fills_the_backbone(origin: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = torchvision.models.resnet18(weights=None).state_dict()
    path = tmp_path / ("resnet18.safetensors" if origin == "timm" else "resnet18.pth")
    if origin == "timm":
        save_file(state, path)
    else:
        torch.save(state, path)
    assert read_weights(path).origin == origin
    network = build_network(Config.load("demo", ["backbone.name=resnet18", "input.height=64"]), 2)
    report = load_initial_weights(network, str(path))
    assert torch.equal(
        network.state_dict()["backbone.model.layer4.0.shortcut.0.weight"], state["layer4.0.downsample.0.weight"]
    )
    assert not [name for name in report.missing if name.startswith("backbone.")]
    assert report.reasons["fc.weight"] == "ImageNet's classifier"
    with pytest.raises(WeightsError, match=r"backbone is resnet18, the configuration's is resnet34; .*weights inspect"):
        load_initial_weights(build_network(Config.load("demo", ["backbone.name=resnet34"]), 2), str(path))
