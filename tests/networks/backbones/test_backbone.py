"""The five stages of a backbone: levels, freezing, and the frozen and trainable parts."""

import pytest
import torch

from clothseg.config import BackboneSettings
from clothseg.networks.backbones import build_backbone


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
def test_levels_have_their_strides_and_both_parts_equal_the_whole(name: str) -> None:
    norm = "group" if name == "resnet18" else "frozen"
    backbone = build_backbone(BackboneSettings(name=name, frozen_stages=3, norm=norm), (3, 4, 5)).eval()
    pixels = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = backbone(pixels)
        parts = backbone.forward_trainable(backbone.forward_frozen(pixels))
    assert [tuple(x.shape) for x in whole] == [
        (1, c, 64 >> k, 96 >> k) for c, k in zip(backbone.channels, (3, 4, 5), strict=True)
    ]
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))
    trained = [n for n, p in backbone.named_parameters() if p.requires_grad]
    assert trained
    assert len(trained) < len(list(backbone.parameters()))


def test_frozen_stages_get_no_gradient() -> None:
    backbone = build_backbone(BackboneSettings(name="resnet18", frozen_stages=3, norm="group"), (3, 4, 5))
    sum(x.sum() for x in backbone(torch.randn(1, 3, 64, 64))).backward()
    with_gradient = {n.split(".")[1] for n, p in backbone.named_parameters() if p.grad is not None}
    assert with_gradient == {"layer3", "layer4"}


@pytest.mark.parametrize(
    ("layers", "trained"),
    [
        ("heads", set()),
        ("5+", {"layer4"}),
        ("4+", {"layer3", "layer4"}),
        ("3+", {"layer2", "layer3", "layer4"}),
        ("all", {"conv1", "layer1", "layer2", "layer3", "layer4"}),
    ],
)
def test_frozen_stages_accept_the_layer_names_of_matterport(layers: str, trained: set[str]) -> None:
    backbone = build_backbone(
        BackboneSettings.model_validate({"name": "resnet50", "frozen_stages": layers}), (2, 3, 4, 5)
    )
    assert {name.split(".")[1] for name, p in backbone.named_parameters() if p.requires_grad} == trained


def test_frozen_norms_keep_their_statistics_and_stages_can_be_unfrozen() -> None:
    backbone = build_backbone(BackboneSettings(name="resnet18", frozen_stages=5), (3, 4, 5)).train()
    before = {name: buffer.clone() for name, buffer in backbone.named_buffers()}
    assert any("running_var" in name for name in before)
    backbone(torch.randn(2, 3, 64, 64) * 5 + 3)
    assert all(torch.equal(buffer, before[name]) for name, buffer in backbone.named_buffers())
    backbone.freeze(3)
    sum(x.sum() for x in backbone(torch.randn(1, 3, 64, 64))).backward()
    assert {n.split(".")[1] for n, p in backbone.named_parameters() if p.grad is not None} == {"layer3", "layer4"}


def test_dropout_applies_to_trainable_stages_only() -> None:
    backbone = build_backbone(BackboneSettings(name="resnet18", frozen_stages=3, dropout=0.5), (3, 4, 5)).train()
    pixels = torch.randn(1, 3, 64, 64)
    first, second = backbone(pixels), backbone(pixels)
    assert torch.equal(first[0], second[0])  # stage 3, frozen
    assert not torch.equal(first[1], second[1])
    backbone.eval()
    assert all(torch.equal(a, b) for a, b in zip(backbone(pixels), backbone(pixels), strict=True))


def test_recomputed_stages_give_the_same_gradients() -> None:
    backbone = build_backbone(BackboneSettings(name="resnet18", frozen_stages=2, norm="group"), (3, 4, 5)).train()
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    gradients = []
    for recompute in (False, True):
        backbone.recompute = recompute
        backbone.zero_grad()
        sum(x.square().mean() for x in backbone(pixels)).backward()
        gradients.append([p.grad for p in backbone.parameters() if p.grad is not None])
    assert len(gradients[0]) > 20
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
