"""From a name in the configuration to a network."""

from dataclasses import replace
from typing import Any

import torch

from clothseg.config import Config
from clothseg.networks.mask_rcnn.conventions import CONVENTIONS, Conventions
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork


def build_network(config: Config, classes: int) -> MaskRCNNNetwork:
    """The network for `classes` classes besides background, its weights random by `config.train.seed`.

    The caller's random numbers are not touched.

    Raises:
        ConfigError: the backbone is not known or does not have the pyramid's levels.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        return MaskRCNNNetwork(config, classes, conventions_for(config))


def conventions_for(config: Config) -> Conventions:
    """Those that the configuration names, with what it says otherwise.

    Mean and scale of the input are those of the backbone's own pretraining where they are known.
    """
    base = CONVENTIONS[config.conventions]
    if config.backbone.name.startswith("timm/tf_efficientnet_lite") and config.conventions == "torchvision":
        base = replace(base, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
    given: dict[str, Any] = {
        "mean": config.picture.mean,
        "std": config.picture.std,
        "channels": config.picture.channels,
        "stride_first": config.backbone.stride_first,
        "norm_eps": config.backbone.norm_eps,
    }
    return replace(base, **{name: value for name, value in given.items() if value is not None})
