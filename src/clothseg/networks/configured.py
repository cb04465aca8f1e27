"""What a configuration changes in the conventions of a network."""

from dataclasses import replace
from typing import Any

from clothseg.config import Config
from clothseg.networks.backbones import ResNetConventions
from clothseg.networks.placement import InputConventions

LITE_INPUT: dict[str, Any] = {"pixel_scale": 1.0, "mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
"""Of EfficientNet-Lite's pretraining."""


def configured_input(config: Config, conventions: InputConventions, *, own_mean: bool) -> InputConventions:
    """The input's conventions with the configuration's mean, std and channels.

    Args:
        config: all settings.
        conventions: of the network.
        own_mean: whether mean and scale are those of the backbone's own pretraining, where they are known.
    """
    if own_mean and config.backbone.name.startswith("timm/tf_efficientnet_lite"):
        conventions = replace(conventions, **LITE_INPUT)
    return replace(conventions, **_given(config.input, "mean", "std", "channels"))


def configured_backbone(config: Config, conventions: ResNetConventions) -> ResNetConventions:
    """The backbone's conventions with the configuration's stride and epsilon."""
    return replace(conventions, **_given(config.backbone, "stride_first", "norm_eps"))


def _given(section: object, *names: str) -> dict[str, Any]:
    values = {name: getattr(section, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}
