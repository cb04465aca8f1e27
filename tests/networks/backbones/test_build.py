"""Backbones by name, and errors for those that cannot be built."""

import pytest

from clothseg.config import BackboneSettings
from clothseg.errors import ConfigError
from clothseg.networks.backbones import ResNetConventions, build_backbone
from clothseg.networks.backbones.resnet import StemPool
from clothseg.networks.layers.norms import FrozenNorm


@pytest.mark.parametrize(
    ("name", "levels", "message"),
    [
        ("resnet19", (3, 4, 5), "'resnet19' is not known; choose one of resnet18"),
        ("timm/no_such_network", (3, 4, 5), "timm has no feature extractor 'no_such_network'"),
        ("timm/swin_tiny_patch4_window7_224", (3, 4, 5), r"does not give features as \[B, C, H, W\]"),
        ("resnet18", (1, 2, 3), r"no level \[1\]; its strides are \[4, 8, 16, 32\]"),
    ],
)
def test_unknown_backbones_and_levels_raise_errors(name: str, levels: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_backbone(BackboneSettings(name=name), levels)


def test_dropout_of_timm_backbones_is_refused() -> None:
    with pytest.raises(ConfigError, match="only the ResNets of clothseg have dropout"):
        build_backbone(BackboneSettings(name="timm/resnet18", dropout=0.1), (3, 4, 5))


def test_conventions_are_applied_to_the_resnet() -> None:
    conventions = ResNetConventions(stride_first=True, norm_eps=0.25, pool_symmetric=False)
    model = build_backbone(BackboneSettings(name="resnet50"), (3, 4, 5), conventions).model
    assert {norm.eps for norm in model.modules() if isinstance(norm, FrozenNorm)} == {0.25}
    assert model.get_submodule("layer2.0.conv1").stride == (2, 2)
    assert model.get_submodule("layer2.0.conv2").stride == (1, 1)
    pool = model.get_submodule("maxpool")
    assert isinstance(pool, StemPool)
    assert not pool.symmetric
