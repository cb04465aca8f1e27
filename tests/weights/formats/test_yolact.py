"""Files of the original YOLACT: names, settings, classes, and the variants that are refused."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from clothseg.config import Config
from clothseg.errors import ConfigError, WeightsError
from clothseg.models import Model, Yolact
from clothseg.networks import Network, build_network
from clothseg.networks.yolact.network import YolactNetwork
from clothseg.weights import load_initial_weights, load_model, read_weights
from clothseg.weights.inspect import inspect_weights

BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
State = dict[str, Tensor]
Save = Callable[[object, str], Path]


def original(
    backbone: str = "resnet50", classes: int = 2, channels: int = 8, prototypes: int = 5, anchors: int = 3
) -> State:
    """A file as the original would write it, with few channels beside the backbone."""
    generator = torch.Generator().manual_seed(0)
    state: State = OrderedDict()

    def add(name: str, *shape: int) -> None:
        state[name] = torch.rand(shape, generator=generator) * 0.1 - 0.05

    def norm(name: str, channels: int) -> None:
        for kind in ("weight", "bias", "running_mean"):
            add(f"{name}.{kind}", channels)
        state[f"{name}.running_var"] = torch.ones(channels)
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    inside = 64
    for stage, count in enumerate(BLOCKS[backbone]):
        planes = 64 << stage
        for block in range(count):
            place = f"backbone.layers.{stage}.{block}."
            for number, (out, into, size) in enumerate(
                ((planes, inside, 1), (planes, planes, 3), (4 * planes, planes, 1)), start=1
            ):
                add(f"{place}conv{number}.weight", out, into, size, size)
                norm(f"{place}bn{number}", out)
            if not block:
                add(f"{place}downsample.0.weight", 4 * planes, inside, 1, 1)
                norm(f"{place}downsample.1", 4 * planes)
            inside = 4 * planes
    add("backbone.conv1.weight", 64, 3, 7, 7)
    norm("backbone.bn1", 64)
    convolutions = {f"fpn.lat_layers.{i}": (channels, 2048 >> i, 1) for i in range(3)}
    convolutions |= {f"fpn.{part}_layers.{i}": (channels, channels, 3) for part in ("pred",) for i in range(3)}
    convolutions |= {f"fpn.downsample_layers.{i}": (channels, channels, 3) for i in range(2)}
    convolutions |= {f"proto_net.{i}": (channels, channels, 3) for i in (0, 2, 4, 8)}
    convolutions["proto_net.10"] = (prototypes, channels, 1)
    head = "prediction_layers.0."
    convolutions[f"{head}upfeature.0"] = (channels, channels, 3)
    rows = {"bbox": 4, "conf": classes + 1, "mask": prototypes}
    convolutions |= {f"{head}{layer}_layer": (anchors * count, channels, 3) for layer, count in rows.items()}
    convolutions["semantic_seg_conv"] = (classes, channels, 1)
    for name, (out, into, size) in convolutions.items():
        add(f"{name}.weight", out, into, size, size)
        add(f"{name}.bias", out)
    return state


@pytest.mark.parametrize("backbone", ["resnet50", "resnet101"])
def test_settings_and_classes_follow_from_the_tensors(backbone: str, save: Save) -> None:
    state = original(backbone, classes=80, channels=12, prototypes=7)
    model = load_model(save(state, "theirs.pth"))
    settings: Any = model.config.network
    assert model.config.backbone.name == backbone
    assert (settings.name, settings.fpn.channels, settings.fpn.levels) == ("yolact", 12, (3, 4, 5, 6, 7))
    assert (settings.prototypes.count, settings.prototypes.channels, settings.head.num_conv) == (7, 12, 1)
    assert model.classes[:2] == ["person", "bicycle"] and len(model.classes) == 80
    assert (model.config.input.resize, model.config.input.height, model.config.input.width) == ("stretch", 550, 550)
    assert model.report.missing == [] and model.report.shape_mismatch == []
    assert all(key.endswith("num_batches_tracked") for key in model.report.unused)


def test_every_tensor_is_where_it_belongs(save: Save, as_yolact: Callable[[Network], YolactNetwork]) -> None:
    state = original(classes=2)
    network = as_yolact(load_model(save(state, "theirs.pth")).network)
    ours = network.state_dict()
    for theirs, name in {
        "backbone.bn1.running_mean": "backbone.model.norm1.running_mean",
        "backbone.layers.2.5.conv2.weight": "backbone.model.layer3.5.conv2.weight",
        "backbone.layers.0.0.downsample.1.bias": "backbone.model.layer1.0.shortcut.1.bias",
        "fpn.lat_layers.0.weight": "fpn.lateral.2.0.weight",
        "fpn.pred_layers.2.bias": "fpn.smooth.0.0.bias",
        "fpn.downsample_layers.1.weight": "fpn.extra.1.0.weight",
        "proto_net.4.weight": "prototypes.convs.2.conv.weight",
        "proto_net.8.bias": "prototypes.fine.conv.bias",
        "proto_net.10.weight": "prototypes.last.weight",
        "prediction_layers.0.upfeature.0.weight": "head.convs.0.conv.weight",
        "prediction_layers.0.mask_layer.bias": "head.coefficient.bias",
    }.items():
        assert torch.equal(ours[name], state[theirs]), name
    rows = state["prediction_layers.0.conf_layer.bias"].view(3, 3)  # anchor, class
    assert torch.equal(ours["head.score.bias"].view(3, 3), rows.T)
    assert torch.equal(ours["semantic.bias"][1:], state["semantic_seg_conv.bias"]) and ours["semantic.bias"][0] == 0


def test_what_the_original_drops_is_reported_and_the_rest_loads(save: Save) -> None:
    state = original()
    old = {
        "fpn.downsample_layers.2.weight": torch.rand(8, 8, 3, 3),
        "backbone.layer1.0.conv1.weight": torch.rand(64, 64, 1, 1),
    }
    found = inspect_weights(save({k: v for k, v in (state | old).items() if "num_batches" not in k}, "old.pth"))
    unused = {key.key: key.note for key in found.keys if key.result == "unused"}
    assert unused.keys() == old.keys() and all("does not load" in note for note in unused.values())
    assert found.counts().keys() == {"renamed", "changed", "unused"}


def test_a_file_without_the_semantic_layer_can_be_used(save: Save) -> None:
    state = {name: tensor for name, tensor in original().items() if not name.startswith("semantic")}
    model = load_model(save(state, "lean.pth"))
    assert not model.network.state_dict()["semantic.weight"].any() and model.report.missing == []


def test_nine_anchors_have_three_scales_on_a_level(save: Save) -> None:
    settings: Any = load_model(save(original(anchors=9), "nine.pth")).config.network
    assert [len(scales) for scales in settings.anchors.scales] == [3] * 5
    assert settings.anchors.scales[0][0] == 24.0


def without(state: State, prefix: str) -> State:
    return {name: tensor for name, tensor in state.items() if not name.startswith(prefix)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s | {"backbone._preconv.0.weight": torch.rand(32, 3, 3, 3)}, "Darknet"),
        (lambda s: s | {"backbone.layers.3.0.conv2.conv_offset_mask.weight": torch.rand(1)}, "deformable"),
        (lambda s: s | {"maskiou_net.maskiou_net.0.weight": torch.rand(1)}, r"YOLACT\+\+"),
        (lambda s: s | {"prediction_layers.1.bbox_layer.weight": torch.rand(1)}, "do not share one head"),
        (lambda s: s | {"prediction_layers.0.bbox_extra.0.weight": torch.rand(1)}, "more layers in its head"),
        (lambda s: without(s, "backbone.conv1") | {"backbone.layers.0.0.weight": torch.rand(1)}, "not a ResNet"),
        (lambda s: without(s, "fpn."), "without an FPN"),
        (lambda s: without(s, "prediction_layers.0.conf_layer.bias"), r"lacks prediction_layers\.0\.conf_layer\.bias"),
        (lambda s: without(s, "proto_net.4"), "other layers for its prototypes"),
        (lambda s: s | {"prediction_layers.0.bbox_layer.weight": torch.rand(7, 8, 3, 3)}, "do not fit each other"),
        (lambda s: without(s, "backbone.layers.2.3.conv2"), "not complete"),
        (lambda s: s | {"proto_net.0.bias": torch.full((8,), torch.nan)}, "not finite"),
    ],
)
def test_variants_and_damaged_files_are_refused_in_words(
    change: Callable[[State], State], words: str, save: Save
) -> None:
    path = save(change(original()), "theirs.pth")
    with pytest.raises(WeightsError, match=words) as caught:
        load_model(path)
    assert "theirs.pth" in str(caught.value)


def test_weights_of_one_network_are_refused_by_another(
    save: Save, torchvision_state: State, small_overrides: list[str]
) -> None:
    yolact, mask_rcnn = save(original(), "yolact.pth"), save(torchvision_state, "mask_rcnn.pth")
    network = build_network(Config.load("demo", small_overrides), 2)
    with pytest.raises(WeightsError, match=r"yolact\.pth: weights of yolact, but the configuration's network is mask_"):
        load_initial_weights(network, str(yolact))
    other = build_network(
        Config.from_tree({"backbone": {"name": "resnet18"}, "network": {"name": "yolact"}}, [], ""), 2
    )
    with pytest.raises(WeightsError, match=r"mask_rcnn\.pth: weights of mask_rcnn, but the configuration's network is"):
        load_initial_weights(other, str(mask_rcnn))
    with pytest.raises(ConfigError, match=r"--set: network\.name is mask_rcnn, but these are weights of yolact"):
        load_model(yolact, overrides=["network.name=mask_rcnn"])
    with pytest.raises(ConfigError, match=r"small-yolact: network\.name is yolact, but these are weights of mask_rcnn"):
        load_model(mask_rcnn, "small-yolact")


def test_a_backbone_alone_fits_any_network(save: Save) -> None:
    state = {f"backbone.{name}": tensor for name, tensor in original().items() if name.startswith("backbone.")}
    resnet = {}
    for name, tensor in state.items():
        plain = name.removeprefix("backbone.backbone.")
        for number in range(4):
            plain = plain.replace(f"layers.{number}.", f"layer{number + 1}.", 1)
        resnet[plain] = tensor
    path = save(resnet, "resnet50.pth")
    assert read_weights(path).classes is None
    config = Config.from_tree({"network": {"name": "yolact", "fpn": {"channels": 8}}}, [], "")
    network = build_network(config, 2)
    report = load_initial_weights(network, str(path))
    loaded = network.state_dict()
    stored = [tensor for name, tensor in resnet.items() if name.endswith("conv2.weight")]
    ours = [tensor for name, tensor in loaded.items() if name.startswith("backbone.") and name.endswith("conv2.weight")]
    assert len(ours) == 16 and all(any(torch.equal(one, other) for other in stored) for one in ours)
    assert {name.split(".")[0] for name in report.missing} == {"fpn", "prototypes", "head", "semantic"}
    assert inspect_weights(path, overrides=["network.name=yolact"]).counts().keys() == {"renamed", "unused"}


def test_rows_of_shared_classes_are_transferred(save: Save) -> None:
    state = original(classes=2)
    model = Model.load(save(state, "old.pth"), classes=["Suit", "Dress"])
    path = save(state, "old.pth").with_name("named.safetensors")
    model.save(path)
    new = Yolact(model.config).build(["Jeans", "dress"]).load_weights(path)
    assert new.network is not None and new.loaded is not None and model.network is not None
    assert new.loaded.transferred == ["dress"]
    ours, before = new.network.state_dict(), model.network.state_dict()
    scores = [s["head.score.weight"].view(3, 3, 8, 3, 3) for s in (ours, before)]  # class, anchor, ...
    assert torch.equal(scores[0][2], scores[1][2]) and torch.equal(scores[0][0], scores[1][0])
    assert not torch.equal(scores[0][1], scores[1][1])
    assert torch.equal(ours["semantic.weight"][2], before["semantic.weight"][2])


def test_yolact_without_a_configuration_has_the_original_s_input() -> None:
    model = Yolact().build(["Suit"])
    assert model.network is not None
    assert model.network.transform.padded([(700, 400)]) == (550, 550)
    with pytest.raises(ConfigError, match=r"Yolact needs a configuration with network\.name yolact"):
        Yolact(Config())
