import pytest
import torch

from clothseg.config import Backbone
from clothseg.errors import ConfigError
from clothseg.networks.backbones import build_trunk


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
