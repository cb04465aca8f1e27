"""Files of torchvision: its detectors of every age, and bare ResNets."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.networks import Network, build_network
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.weights import load_initial_weights, load_model, read_weights


def test_old_names_of_torchvision_are_the_new_ones(
    torchvision_state: dict[str, torch.Tensor],
    save: Callable[[object, str], Path],
    as_mask_rcnn: Callable[[Network], MaskRCNNNetwork],
    tmp_path: Path,
) -> None:
    changes = {"rpn.head.conv.0.0.": "rpn.head.conv."}
    changes |= {f"_blocks.{level}.0.": f"_blocks.{level}." for level in range(4)}
    changes |= {f"mask_head.{number}.0.": f"mask_head.mask_fcn{number + 1}." for number in range(4)}

    def aged(name: str) -> str:
        new = next((new for new in changes if new in name), None)
        return name.replace(new, changes[new]) if new else name

    old = {aged(name): tensor for name, tensor in torchvision_state.items()}
    assert old.keys() != torchvision_state.keys()
    newer, older = read_weights(save(torchvision_state, "new.pth")), read_weights(save(old, "old.pth"))
    assert newer.tensors.keys() == older.tensors.keys()
    assert all(torch.equal(tensor, older.tensors[name]) for name, tensor in newer.tensors.items())
    published = save(old, "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth")
    network = as_mask_rcnn(load_model(published).network)
    assert network.conventions.backbone.norm_eps == 0.0  # torchvision loads that one file so
    legacy = tmp_path / "legacy.pth"
    torch.save(old, legacy, _use_new_zipfile_serialization=False)
    assert read_weights(legacy).tensors.keys() == newer.tensors.keys()


@pytest.mark.parametrize("kind", ["torchvision", "timm"])
def test_a_bare_resnet_fills_the_backbone(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = torchvision.models.resnet18(weights=None).state_dict()
    path = tmp_path / ("resnet18.safetensors" if kind == "timm" else "resnet18.pth")
    if kind == "timm":
        save_file(state, path)
    else:
        torch.save(state, path)
    network = build_network(Config.load("demo", ["backbone.name=resnet18", "input.height=64"]), 2)
    report = load_initial_weights(network, str(path))
    assert torch.equal(
        network.state_dict()["backbone.model.layer4.0.shortcut.0.weight"], state["layer4.0.downsample.0.weight"]
    )
    assert not [name for name in report.missing if name.startswith("backbone.")]
    assert report.reasons["fc.weight"] == "ImageNet's classifier"
    with pytest.raises(WeightsError, match=r"backbone is resnet18, the configuration's is resnet34; .*weights inspect"):
        load_initial_weights(build_network(Config.load("demo", ["backbone.name=resnet34"]), 2), str(path))


def test_arguments_beside_torchvisions_weights_do_no_harm(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path]
) -> None:
    content = {"model": torchvision_state, "optimizer": {"state": {}}, "args": Namespace(lr=0.1), "epoch": 3}
    reading = read_weights(save(content, "model_25.pth"))
    assert reading.unused.keys() >= {"optimizer", "args", "epoch"}
    assert reading.classes == ["class 1", "class 2"]
