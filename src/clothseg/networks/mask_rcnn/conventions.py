"""What differs between implementations of the same network, as one value that the modules read.

Sources: torchvision's reference detection models; detectron2's model zoo; the Keras implementation of Mask R-CNN by
Matterport. Each constant below says how one of them computes.
"""

import math
from dataclasses import dataclass
from typing import Literal

from clothseg.instances import PasteRule

EMPTY_ONLY = 1e-30
"""As a smallest side: only boxes without any extent are dropped."""


@dataclass(frozen=True)
class Conventions:
    """How numbers are computed, as opposed to which network it is.

    Attributes:
        pixel_scale: a photo's values in 0..1 are multiplied by this first.
        mean, std: of the input's channels, in their order; taken off and divided by before the trunk.
        channels: order of the input's channels.
        resampling: how a photo is resized: `float` bilinear without antialiasing; `pillow`, Pillow's antialiased
            bilinear on bytes; `fading`, bilinear on bytes, black beyond the edges, cut down to whole grey levels.
        size_rounding: of the resized photo's height and width.
        size_divisor: the padded input's sides are multiples of this.
        centred: the photo lies in the middle of the padded input, not at its top left.
        black_padding: padding is black before the mean is taken off, not 0 afterwards.
        stride_first: a bottleneck strides in its first 1 x 1 convolution, not in its 3 x 3 one.
        norm_eps: of every norm.
        pool_symmetric: the stem's max pooling pads on all sides, not at the bottom and right only.
        anchor_step: anchors are a level's stride apart, or fitted evenly into an input that it does not divide.
        scales_outer: of several scales and ratios on a level, all ratios of the first scale come first.
        round_anchors: the corners of anchors round the origin are whole pixels.
        normalised_boxes: inside the network a box is (x1, y1, x2 - 1, y2 - 1) over (width - 1, height - 1) of the
            padded input, not in pixels.
        rpn_box_weights, box_weights: of x, y, log width and log height in the box codes of both stages.
        box_clip: largest log width or height that a code may ask for.
        candidate_score, proposal_score: what orders the anchors, and then the proposals.
        levels_together: candidates are chosen, and suppressed, over all levels at once.
        clip_to_padded: proposals are cut off at the padded input's edges, not the photo's.
        pad_proposals: in detection, missing proposals are made up by empty boxes, which go through the heads too.
        rpn_min_side, min_side: boxes with a shorter side (pixels of the input) are dropped.
        pooling: `align` is RoI Align, `sample` one bilinear sample a cell, the first and last on the box's edges.
        roi_samples: sampling points of RoI Align along a cell's side; 0 takes as many as the cell has pixels.
        roi_aligned: whether RoI Align shifts by half a pixel.
        level_at: a box of `boxes.level_side` pixels is pooled from this pyramid level.
        level_rounding: of the level of a box.
        level_eps, side_eps: added to the level, and to the side over `level_side`, before rounding.
        single_class: a proposal becomes a detection of its likeliest class only, background included.
        confidence_included: a score equal to the smallest confidence counts.
        whole_boxes: detected boxes have whole pixels.
        paste: how a small mask becomes pixels.
        smooth_l1_beta: where smooth L1 turns from a parabola to a line.
        rpn_average: both proposal losses are divided by the `sampled` anchors, or by the `budget` of `rpn.samples`.
        box_average: box losses are divided by all `sampled` boxes, or by the coordinates of the `positive` ones.
        binary_mask_targets: the masks that the mask head learns from are cut to 0 and 1.
    """

    pixel_scale: float = 1.0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    channels: Literal["rgb", "bgr"] = "rgb"
    resampling: Literal["float", "pillow", "fading"] = "float"
    size_rounding: Literal["down", "half_up", "half_even"] = "down"
    size_divisor: int = 32
    centred: bool = False
    black_padding: bool = False
    stride_first: bool = False
    norm_eps: float = 1e-5
    pool_symmetric: bool = True
    anchor_step: Literal["stride", "fitted"] = "fitted"
    scales_outer: bool = False
    round_anchors: bool = True
    normalised_boxes: bool = False
    rpn_box_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    box_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    box_clip: float = math.log(1000.0 / 16)
    candidate_score: Literal["logit", "probability"] = "logit"
    proposal_score: Literal["logit", "probability"] = "probability"
    levels_together: bool = False
    clip_to_padded: bool = False
    pad_proposals: bool = False
    rpn_min_side: float = 1e-3
    min_side: float = 1e-2
    pooling: Literal["align", "sample"] = "align"
    roi_samples: int = 2
    roi_aligned: bool = False
    level_at: int = 4
    level_rounding: Literal["down", "half_even"] = "down"
    level_eps: float = 1e-6
    side_eps: float = 0.0
    single_class: bool = False
    confidence_included: bool = False
    whole_boxes: bool = False
    paste: PasteRule = "framed"
    smooth_l1_beta: float = 1 / 9
    rpn_average: Literal["sampled", "budget"] = "sampled"
    box_average: Literal["sampled", "positive"] = "sampled"
    binary_mask_targets: bool = False


TORCHVISION = Conventions()

DETECTRON2 = Conventions(
    pixel_scale=255.0,
    mean=(103.53, 116.28, 123.675),
    std=(1.0, 1.0, 1.0),
    channels="bgr",
    resampling="pillow",
    size_rounding="half_up",
    stride_first=True,
    anchor_step="stride",
    scales_outer=True,
    round_anchors=False,
    proposal_score="logit",
    rpn_min_side=EMPTY_ONLY,
    min_side=0.0,
    roi_samples=0,
    roi_aligned=True,
    level_eps=0.0,
    side_eps=1e-8,
    paste="centres",
    smooth_l1_beta=0.0,
    rpn_average="budget",
    binary_mask_targets=True,
)

MATTERPORT = Conventions(
    pixel_scale=255.0,
    mean=(123.7, 116.8, 103.9),
    std=(1.0, 1.0, 1.0),
    resampling="fading",
    size_rounding="half_even",
    size_divisor=64,
    centred=True,
    black_padding=True,
    stride_first=True,
    norm_eps=1e-3,
    pool_symmetric=False,
    anchor_step="stride",
    round_anchors=False,
    normalised_boxes=True,
    rpn_box_weights=(10.0, 10.0, 5.0, 5.0),
    box_clip=math.inf,
    candidate_score="probability",
    levels_together=True,
    clip_to_padded=True,
    pad_proposals=True,
    rpn_min_side=0.0,
    min_side=0.0,
    pooling="sample",
    level_rounding="half_even",
    level_eps=0.0,
    single_class=True,
    confidence_included=True,
    whole_boxes=True,
    paste="fading",
    smooth_l1_beta=1.0,
    box_average="positive",
    binary_mask_targets=True,
)

CONVENTIONS = {"torchvision": TORCHVISION, "detectron2": DETECTRON2, "matterport": MATTERPORT}
"""By the names that `Config.conventions` takes."""
