"""Conventions by name, and settings that override them."""

import pytest

from clothseg.config import Config
from clothseg.errors import ConfigError
from clothseg.networks.mask_rcnn.conventions import CONVENTIONS, DETECTRON2, conventions_for


def test_settings_override_the_conventions() -> None:
    overrides = ["network.conventions=detectron2", "input.mean=[1,2,3]", "input.channels=rgb"]
    found = conventions_for(Config.load("demo", [*overrides, "backbone.stride_first=false", "backbone.name=resnet18"]))
    assert (found.input.mean, found.input.channels, found.backbone.stride_first) == ((1, 2, 3), "rgb", False)
    assert found.input.std == DETECTRON2.input.std
    assert found.roi_align.aligned
    assert (found.backbone.norm_eps, found.backbone.pool_symmetric) == (1e-5, True)


@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_conventions_without_overrides_are_the_constants(name: str) -> None:
    assert (
        conventions_for(Config.load("demo", [f"network.conventions={name}", "backbone.name=resnet18"]))
        == (CONVENTIONS[name])
    )


def test_efficientnet_lite_uses_the_normalisation_of_its_weights() -> None:
    found = conventions_for(Config.load("demo"))
    assert found.input.mean == (127 / 255,) * 3
    assert found.input.std == (128 / 255,) * 3
    given = conventions_for(Config.load("demo", ["input.std=[0.1,0.2,0.3]"]))
    assert given.input.mean == (127 / 255,) * 3
    assert given.input.std == (0.1, 0.2, 0.3)


def test_unknown_conventions_are_refused() -> None:
    with pytest.raises(ConfigError, match="conventions"):
        Config.load("demo", ["network.conventions=keras"])
