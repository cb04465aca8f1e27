"""From the configuration to a network."""

import torch

from clothseg.config import Config
from clothseg.networks.deeplab.network import DeepLabNetwork
from clothseg.networks.input import InputTransform
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.networks.network import Network
from clothseg.networks.yolact.network import YolactNetwork

NETWORKS: dict[str, type[Network]] = {
    "mask_rcnn": MaskRCNNNetwork,
    "yolact": YolactNetwork,
    "deeplab": DeepLabNetwork,
}
"""Networks by the name that the section `network` has. To add one, add it here and to `config.NETWORK_SETTINGS`."""


def build_network(config: Config, classes: int) -> Network:
    """The network for `classes` classes besides background, with random weights from `config.train.seed`.

    The caller's random numbers are not touched.

    Raises:
        ConfigError: the backbone is not known, or does not have the levels that the network needs.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        return NETWORKS[config.network.name](config, classes)


def input_transform(config: Config) -> InputTransform:
    """How the configured network turns photos into its input, without building the network."""
    return InputTransform(config.input, NETWORKS[config.network.name].input_conventions(config))
