"""Networks that find instances: `losses` while they learn, `detect` when they have learned."""

from clothseg.networks.backbones.backbone import RESNETS
from clothseg.networks.build import build_network
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.networks.network import LOSS_NAMES, Network

__all__ = ["LOSS_NAMES", "RESNETS", "MaskRCNNNetwork", "Network", "build_network"]
