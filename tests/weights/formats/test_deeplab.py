"""Files of torchvision's and VainF's DeepLab: names, settings, classes, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from deeplab_reference import tiny_deeplab
from torch import Tensor
from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large, fcn_resnet50

from clothseg.config import Config, DeepLabSettings
from clothseg.errors import ClothsegError, WeightsError
from clothseg.models import MaskRCNN
from clothseg.networks import build_network
from clothseg.weights import load_initial_weights, load_model, read_weights
from clothseg.weights.formats.deeplab_classes import CITYSCAPES, VOC

Save = Callable[[object, str], Path]
NORM = ("weight", "bias", "running_mean", "running_var")

VAINF_NAMES = {
    "backbone.conv1": "backbone.model.conv1",
    "backbone.bn1": "backbone.model.norm1",
    "classifier.project.0": "semantic.decoder.0.project.conv",
    "classifier.project.1": "semantic.decoder.0.project.norm",
    "classifier.aspp.convs.4.1": "semantic.aspp.pooled.conv",
    "classifier.aspp.convs.4.2": "semantic.aspp.pooled.norm",
    "classifier.aspp.project.0": "semantic.aspp.project.conv",
    "classifier.aspp.project.1": "semantic.aspp.project.norm",
    "classifier.classifier.0": "semantic.decoder.0.fuse.0.conv",
    "classifier.classifier.1": "semantic.decoder.0.fuse.0.norm",
    "classifier.classifier.3": "semantic.predictor",
}
VAINF_NAMES |= {f"classifier.aspp.convs.{n}.0": f"semantic.aspp.branches.{n}.conv" for n in range(4)}
VAINF_NAMES |= {f"classifier.aspp.convs.{n}.1": f"semantic.aspp.branches.{n}.norm" for n in range(4)}


def vainf_state(classes: int = 2) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of a small v3+ network under VainF's names, and under ours."""
    overrides = ("backbone.norm=frozen", "network.norm=frozen", "network.conventions=vainf")
    ours = tiny_deeplab(*overrides, classes=classes).state_dict()
    generator = torch.Generator().manual_seed(0)
    ours = {name: torch.rand(tensor.shape, generator=generator) + 0.5 for name, tensor in ours.items()}
    theirs = {our: key for key, our in VAINF_NAMES.items()}
    state = {}
    for name, tensor in ours.items():
        layer, _, kind = name.rpartition(".")
        key = theirs.get(layer)
        if key is None:
            key = layer.replace("backbone.model", "backbone").replace(".norm", ".bn").replace("shortcut", "downsample")
        state[f"{key}.{kind}"] = tensor
    return state, ours


def checkpoint(state: dict[str, Tensor]) -> dict[str, object]:
    """What VainF's training saves; the score is a number of numpy."""
    return {
        "cur_itrs": 30_000,
        "model_state": state,
        "optimizer_state": {"state": {}, "param_groups": []},
        "scheduler_state": {"last_epoch": 30_000},
        "best_score": np.float64(0.72),
    }


def test_every_tensor_of_vainfs_file_is_used(save: Save) -> None:
    state, ours = vainf_state()
    loaded = load_model(save(checkpoint(state), "best.pth"))
    assert not loaded.report.missing and not loaded.report.shape_mismatch
    assert all(torch.equal(tensor, ours[name]) for name, tensor in loaded.network.state_dict().items())
    settings = loaded.config.network
    assert settings.name == "deeplab" and loaded.config.backbone.name == "resnet18"
    assert loaded.classes == ["class 1", "class 2"]


@pytest.mark.parametrize(
    ("name", "stride"), [("best_v3plus_voc_os8.pth", 8), ("best_v3plus_voc_os16.pth", 16), ("a.pth", 16)]
)
def test_the_output_stride_is_that_of_vainfs_file_name(name: str, stride: int, save: Save) -> None:
    settings = load_model(save(checkpoint(vainf_state()[0]), name)).config.network
    assert isinstance(settings, DeepLabSettings) and settings.output_stride == stride


def test_a_separable_head_of_vainf_is_read(save: Save) -> None:
    state, _ = vainf_state()
    weight = state.pop("classifier.classifier.0.weight")
    out, into, size, _ = weight.shape
    state["classifier.classifier.0.body.0.weight"] = torch.rand(into, 1, size, size)
    state["classifier.classifier.0.body.1.weight"] = torch.rand(out, into, 1, 1)
    loaded = load_model(save(checkpoint(state), "separable.pth"))
    fuse = "semantic.decoder.0.fuse.0"
    assert loaded.network.state_dict()[f"{fuse}.depthwise.weight"].shape == (into, 1, size, size)


@pytest.mark.parametrize(
    ("count", "names"), [(21, list(VOC)), (19, list(CITYSCAPES)), (4, ["class 1", "class 2", "class 3"])]
)
def test_classes_by_their_number(count: int, names: list[str], save: Save) -> None:
    state, _ = vainf_state(count - 1)
    loaded = load_model(save(checkpoint(state), "best.pth"))
    assert loaded.classes == names
    bias = loaded.network.state_dict()["semantic.predictor.bias"]
    assert len(bias) == len(names) + 1
    if count == 19:  # its first channel is a class, so background has a row that never wins
        assert bias[0] == -1e4 and torch.equal(bias[1:], state["classifier.classifier.3.bias"])


def test_other_backbones_are_refused_by_name(save: Save) -> None:
    model = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None)
    with pytest.raises(
        WeightsError, match=r"DeepLabv3 of torchvision with a backbone that is not supported.*backbone\.0"
    ):
        read_weights(save(model.state_dict(), "mobile.pth"))


def test_other_semantic_networks_are_refused(save: Save) -> None:
    state = fcn_resnet50(weights=None, weights_backbone=None, num_classes=3).state_dict()
    with pytest.raises(WeightsError, match=r"weights of another network.*DeepLab of torchvision"):
        read_weights(save(state, "fcn.pth"))


def test_a_file_without_its_last_layer_is_refused(save: Save) -> None:
    state, _ = vainf_state()
    del state["classifier.classifier.3.weight"]
    with pytest.raises(WeightsError, match=r"last layer is missing"):
        read_weights(save(checkpoint(state), "cut.pth"))


def test_a_file_without_another_tensor_is_not_complete(save: Save) -> None:
    state, _ = vainf_state()
    del state["classifier.project.0.weight"]
    with pytest.raises(WeightsError, match=r"not complete"):
        load_model(save(checkpoint(state), "cut.pth"))


def test_one_networks_weights_are_refused_by_another(save: Save, torchvision_state: dict[str, Tensor]) -> None:
    state, _ = vainf_state()
    path = save(checkpoint(state), "deeplab.pth")
    mask_rcnn = build_network(Config(), 2)
    with pytest.raises(WeightsError, match=r"deeplab.*mask_rcnn"):
        load_initial_weights(mask_rcnn, str(path))
    with pytest.raises(ClothsegError, match=r"deeplab"):
        MaskRCNN.load(path)
    with pytest.raises(WeightsError, match=r"mask_rcnn.*deeplab"):
        load_initial_weights(tiny_deeplab(), str(save(torchvision_state, "mask_rcnn.pth")))


def test_its_own_weights_start_a_network_with_other_classes_and_a_decoder_more(save: Save) -> None:
    state, ours = vainf_state()
    network = tiny_deeplab(
        "backbone.norm=frozen", "network.norm=frozen", "network.conventions=vainf", "network.aux=true", classes=5
    )
    report = load_initial_weights(network, str(save(checkpoint(state), "best.pth")), classes=list("abcde"))
    assert report.transferred == []
    assert torch.equal(network.state_dict()["semantic.predictor.bias"][0], ours["semantic.predictor.bias"][0])
    assert any(name.startswith("aux.") for name in report.missing)


def test_a_resnet_alone_starts_a_deeplab(save: Save) -> None:
    _, ours = vainf_state()
    alone = {
        name.removeprefix("backbone.model.").replace("norm", "bn").replace("shortcut", "downsample"): tensor
        for name, tensor in ours.items() if name.startswith("backbone.")
    }  # fmt: skip
    network = tiny_deeplab("backbone.norm=frozen")
    report = load_initial_weights(network, str(save(alone, "resnet18.pth")))
    assert len(report.loaded) == len(alone)
    assert torch.equal(network.state_dict()["backbone.model.conv1.weight"], alone["conv1.weight"])
