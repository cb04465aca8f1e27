"""From a name in the configuration to a network."""

from dataclasses import replace

import torch

from clothseg.config import Config
from clothseg.networks.conventions import TORCHVISION, Conventions
from clothseg.networks.mask_rcnn import MaskRCNNNetwork


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
    """Torchvision's, with the input's mean and scale of the backbone's own pretraining."""
    if config.backbone.name.startswith("timm/tf_efficientnet_lite"):
        return replace(TORCHVISION, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
    return TORCHVISION
