import pytest
import torch

from clothseg.config import Backbone
from clothseg.errors import ConfigError
from clothseg.networks.backbones.backbone import build_trunk


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnext101_32x8d",
        "timm/tf_efficientnet_lite0",
        "timm/mobilenetv3_small_100",
        "timm/convnext_atto",
        "timm/regnety_002",
        "timm/resnet18",
    ],
)
def test_levels_have_their_strides_and_parts_make_the_whole(name: str) -> None:
    norm = "group" if name == "resnet18" else "frozen"
    trunk = build_trunk(Backbone(name=name, frozen_stages=3, norm=norm), (3, 4, 5)).eval()
    pixels = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = trunk(pixels)
        parts = trunk.trained_part(trunk.frozen_part(pixels))
    assert [tuple(x.shape) for x in whole] == [
        (1, c, 64 >> k, 96 >> k) for c, k in zip(trunk.channels, (3, 4, 5), strict=True)
    ]
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))
    trained = [n for n, p in trunk.named_parameters() if p.requires_grad]
    assert trained
    assert len(trained) < len(list(trunk.parameters()))


def test_frozen_stages_get_no_gradient() -> None:
    trunk = build_trunk(Backbone(name="resnet18", frozen_stages=3, norm="group"), (3, 4, 5))
    sum(x.sum() for x in trunk(torch.randn(1, 3, 64, 64))).backward()
    with_gradient = {n.split(".")[1] for n, p in trunk.named_parameters() if p.grad is not None}
    assert with_gradient == {"layer3", "layer4"}


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("resnet19", (3, 4, 5)),
        ("timm/no_such_network", (3, 4, 5)),
        ("timm/swin_tiny_patch4_window7_224", (3, 4, 5)),
        ("resnet18", (1, 2, 3)),
    ],
)
def test_what_cannot_be_built_is_told(name: str, levels: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError):
        build_trunk(Backbone(name=name), levels)


@pytest.mark.parametrize(
    ("word", "trained"),
    [
        ("heads", set()),
        ("5+", {"layer4"}),
        ("4+", {"layer3", "layer4"}),
        ("3+", {"layer2", "layer3", "layer4"}),
        ("all", {"conv1", "layer1", "layer2", "layer3", "layer4"}),
    ],
)
def test_layers_are_frozen_by_the_words_of_the_keras_implementation(word: str, trained: set[str]) -> None:
    trunk = build_trunk(Backbone.model_validate({"name": "resnet50", "frozen_stages": word}), (2, 3, 4, 5))
    assert {name.split(".")[1] for name, p in trunk.named_parameters() if p.requires_grad} == trained


def test_frozen_norms_keep_their_statistics_and_stages_can_be_freed() -> None:
    trunk = build_trunk(Backbone(name="resnet18", frozen_stages=5), (3, 4, 5)).train()
    before = {name: buffer.clone() for name, buffer in trunk.named_buffers()}
    assert any("running_var" in name for name in before)
    trunk(torch.randn(2, 3, 64, 64) * 5 + 3)
    assert all(torch.equal(buffer, before[name]) for name, buffer in trunk.named_buffers())
    trunk.freeze(3)
    sum(x.sum() for x in trunk(torch.randn(1, 3, 64, 64))).backward()
    assert {n.split(".")[1] for n, p in trunk.named_parameters() if p.grad is not None} == {"layer3", "layer4"}


def test_dropout_falls_on_learning_stages_only() -> None:
    trunk = build_trunk(Backbone(name="resnet18", frozen_stages=3, dropout=0.5), (3, 4, 5)).train()
    pixels = torch.randn(1, 3, 64, 64)
    first, second = trunk(pixels), trunk(pixels)
    assert torch.equal(first[0], second[0])  # stage 3, frozen
    assert not torch.equal(first[1], second[1])
    trunk.eval()
    assert all(torch.equal(a, b) for a, b in zip(trunk(pixels), trunk(pixels), strict=True))
    with pytest.raises(ConfigError, match="only our own ResNets"):
        build_trunk(Backbone(name="timm/resnet18", dropout=0.1), (3, 4, 5))
