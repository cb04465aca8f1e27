"""What differs between implementations of DeepLab, as one value that the modules read.

Sources: torchvision's DeepLabv3; DeepLabV3Plus-Pytorch (VainF); detectron2's projects DeepLab and Panoptic-DeepLab.
Each constant below says how one of them computes.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from clothseg.config import Config, DeepLabSettings
from clothseg.networks.backbones import ResNetConventions
from clothseg.networks.configured import configured_backbone, configured_input
from clothseg.networks.placement import InputConventions


@dataclass(frozen=True)
class Conventions:
    """How numbers are computed, as opposed to which network it is.

    Attributes:
        input, backbone: of these parts.
        upsampling: class logits become as large as the input by its `size`, or by the whole `factor` of the stride,
            after which what is beyond the input is cut.
        pooled_norm: ASPP's pooled branch has the norm of the others, not a bias.
        norm_between: a separable convolution has norm and ReLU after its depthwise part too.
    """

    input: InputConventions = field(default_factory=lambda: InputConventions(size_divisor=1))
    backbone: ResNetConventions = field(default_factory=ResNetConventions)
    upsampling: Literal["size", "factor"] = "size"
    pooled_norm: bool = True
    norm_between: bool = True


TORCHVISION = Conventions(input=InputConventions(resampling="pillow", size_rounding="long_down", size_divisor=1))

VAINF = Conventions(backbone=ResNetConventions(norm_momentum=0.01), norm_between=False)

DETECTRON2 = Conventions(
    input=InputConventions(
        pixel_scale=255.0,
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        resampling="pillow",
        size_rounding="half_up",
        size_divisor=1,
    ),
    backbone=ResNetConventions(dilate_first=True, multi_grid=(1, 2, 4)),
    upsampling="factor",
    pooled_norm=False,
)

CONVENTIONS = {"torchvision": TORCHVISION, "vainf": VAINF, "detectron2": DETECTRON2}
"""By the names that `network.conventions` takes."""


def conventions_for(config: Config) -> Conventions:
    """The conventions that the configuration names, with its own values for some of them.

    Mean and scale of the input are those of the backbone's own pretraining, where they are known.
    """
    settings = config.network
    assert isinstance(settings, DeepLabSettings)
    base = CONVENTIONS[settings.conventions]
    of_input = configured_input(config, base.input, own_mean=settings.conventions == "torchvision")
    return replace(base, input=of_input, backbone=configured_backbone(config, base.backbone))
