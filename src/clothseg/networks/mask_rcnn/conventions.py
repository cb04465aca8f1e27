"""What differs between implementations of Mask R-CNN, as one value that the modules read.

Sources: torchvision's reference detection models; detectron2's model zoo; the Keras implementation of Mask R-CNN by
Matterport. Each constant below says how one of them computes.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from clothseg.config import Config, MaskRCNNSettings
from clothseg.instances import PasteRule
from clothseg.networks.backbones import ResNetConventions
from clothseg.networks.configured import configured_backbone, configured_input
from clothseg.networks.layers.anchors import AnchorConventions
from clothseg.networks.layers.roi_align import RoiAlignConventions
from clothseg.networks.placement import InputConventions

EMPTY_ONLY = 1e-30
"""As a smallest side: only boxes without any extent are dropped."""

Weights = tuple[float, float, float, float]


@dataclass(frozen=True)
class Conventions:
    """How numbers are computed, as opposed to which network it is.

    Attributes:
        input, backbone, anchors, roi_align: of these parts.
        rpn_box_weights, box_weights: of x, y, log width and log height in the box deltas of both stages.
        box_clip: largest log width or height that a delta may ask for.
        candidate_score, proposal_score: what orders the anchors, and then the proposals.
        levels_together: candidates are chosen, and suppressed, over all levels at once.
        clip_to_padded: proposals are clipped to the padded input, not to the photo.
        pad_proposals: in inference, missing proposals are replaced by empty boxes, which go through the heads too.
        rpn_min_side, min_side: boxes with a shorter side (network coordinates) are dropped.
        single_class: a proposal becomes a detection of its likeliest class only, background included.
        score_threshold_included: a score equal to the threshold counts.
        paste: how a small mask becomes pixels.
        smooth_l1_beta: where smooth L1 turns from a parabola to a line.
        rpn_average: both RPN losses are divided by the `sampled` anchors, or by the `budget` of `network.rpn.samples`.
        box_average: box losses are divided by all `sampled` boxes, or by the coordinates of the `positive` ones.
        binary_mask_targets: the mask targets are thresholded to 0 and 1.
    """

    input: InputConventions = field(default_factory=InputConventions)
    backbone: ResNetConventions = field(default_factory=ResNetConventions)
    anchors: AnchorConventions = field(default_factory=AnchorConventions)
    roi_align: RoiAlignConventions = field(default_factory=RoiAlignConventions)
    rpn_box_weights: Weights = (1.0, 1.0, 1.0, 1.0)
    box_weights: Weights = (10.0, 10.0, 5.0, 5.0)
    box_clip: float = math.log(1000.0 / 16)
    candidate_score: Literal["logit", "probability"] = "logit"
    proposal_score: Literal["logit", "probability"] = "probability"
    levels_together: bool = False
    clip_to_padded: bool = False
    pad_proposals: bool = False
    rpn_min_side: float = 1e-3
    min_side: float = 1e-2
    single_class: bool = False
    score_threshold_included: bool = False
    paste: PasteRule = "torchvision"
    smooth_l1_beta: float = 1 / 9
    rpn_average: Literal["sampled", "budget"] = "sampled"
    box_average: Literal["sampled", "positive"] = "sampled"
    binary_mask_targets: bool = False


TORCHVISION = Conventions()

DETECTRON2 = Conventions(
    input=InputConventions(
        pixel_scale=255.0,
        mean=(103.53, 116.28, 123.675),
        std=(1.0, 1.0, 1.0),
        channels="bgr",
        resampling="pillow",
        size_rounding="half_up",
    ),
    backbone=ResNetConventions(stride_first=True),
    anchors=AnchorConventions(step="stride", scales_outer=True, round_corners=False),
    roi_align=RoiAlignConventions(sampling_ratio=0, aligned=True, level_eps=0.0, side_eps=1e-8),
    proposal_score="logit",
    rpn_min_side=EMPTY_ONLY,
    min_side=0.0,
    paste="detectron2",
    smooth_l1_beta=0.0,
    rpn_average="budget",
    binary_mask_targets=True,
)

MATTERPORT = Conventions(
    input=InputConventions(
        pixel_scale=255.0,
        mean=(123.7, 116.8, 103.9),
        std=(1.0, 1.0, 1.0),
        resampling="zero_padded",
        size_rounding="half_even",
        size_divisor=64,
        centred=True,
        black_padding=True,
        normalised_boxes=True,
        whole_boxes="round",
    ),
    backbone=ResNetConventions(stride_first=True, norm_eps=1e-3, pool_symmetric=False),
    anchors=AnchorConventions(step="stride", round_corners=False),
    roi_align=RoiAlignConventions(method="crop_and_resize", level_rounding="half_even", level_eps=0.0),
    rpn_box_weights=(10.0, 10.0, 5.0, 5.0),
    box_clip=math.inf,
    candidate_score="probability",
    levels_together=True,
    clip_to_padded=True,
    pad_proposals=True,
    rpn_min_side=0.0,
    min_side=0.0,
    single_class=True,
    score_threshold_included=True,
    paste="matterport",
    smooth_l1_beta=1.0,
    box_average="positive",
    binary_mask_targets=True,
)

CONVENTIONS = {"torchvision": TORCHVISION, "detectron2": DETECTRON2, "matterport": MATTERPORT}
"""By the names that `network.conventions` takes."""


def conventions_for(config: Config) -> Conventions:
    """The conventions that the configuration names, with its own values for some of them.

    Mean and scale of the input are those of the backbone's own pretraining, where they are known.
    """
    settings = config.network
    assert isinstance(settings, MaskRCNNSettings)
    base = CONVENTIONS[settings.conventions]
    return replace(
        base,
        input=configured_input(config, base.input, own_mean=settings.conventions == "torchvision"),
        backbone=configured_backbone(config, base.backbone),
    )
