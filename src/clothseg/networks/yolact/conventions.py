"""How the original YOLACT computes, as one value that the modules read. Source: the program of its authors."""

import math
from dataclasses import dataclass, field, replace

from clothseg.config import Config, YolactSettings
from clothseg.networks.backbones import ResNetConventions
from clothseg.networks.configured import configured_backbone, configured_input
from clothseg.networks.layers.anchors import AnchorConventions
from clothseg.networks.layers.fpn import FpnConventions
from clothseg.networks.placement import InputConventions

ORIGINAL_INPUT = InputConventions(
    pixel_scale=255.0, mean=(123.68, 116.78, 103.94), std=(58.40, 57.12, 57.38), size_divisor=1
)


@dataclass(frozen=True)
class Conventions:
    """How numbers are computed, as opposed to which network it is.

    Attributes:
        input, backbone, fpn, anchors: of these parts.
        box_weights: of x, y, log width and log height in the box deltas.
        box_clip: largest log width or height that a delta may ask for.
        smooth_l1_beta: where smooth L1 turns from a parabola to a line.
        crop_margin: cells of the prototypes around a box that its mask may reach.
    """

    input: InputConventions = ORIGINAL_INPUT
    backbone: ResNetConventions = field(default_factory=ResNetConventions)
    fpn: FpnConventions = field(
        default_factory=lambda: FpnConventions(upsampling="bilinear", activated=True, extra="convolved")
    )
    anchors: AnchorConventions = field(
        default_factory=lambda: AnchorConventions(step="centred", scales_outer=True, round_corners=False)
    )
    box_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    box_clip: float = math.inf
    smooth_l1_beta: float = 1.0
    crop_margin: float = 1.0


ORIGINAL = Conventions()


def conventions_for(config: Config) -> Conventions:
    """The original's conventions, with what the configuration says of the input, the backbone and the anchors.

    Mean and scale of the input are those of the backbone's own pretraining, where they are known.
    """
    settings = config.network
    assert isinstance(settings, YolactSettings)
    of_input = configured_input(config, ORIGINAL.input, own_mean=True)
    return replace(
        ORIGINAL,
        input=replace(of_input, whole_boxes="cut" if settings.whole_boxes else "no"),
        backbone=configured_backbone(config, ORIGINAL.backbone),
        anchors=replace(ORIGINAL.anchors, square=settings.anchors.square),
    )
