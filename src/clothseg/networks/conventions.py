"""What differs between implementations of the same network, as one value that the modules read."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Conventions:
    """How numbers are computed, as opposed to which network it is.

    Attributes:
        mean, std: of the input's channels (RGB, 0..1), taken off and divided by before the trunk.
        size_divisor: the batch is padded at right and bottom to a multiple of this.
        rpn_box_weights, box_weights: of x, y, log width and log height in the box codes of both stages.
        box_clip: largest log width or height that a code may ask for.
        rpn_min_side, min_side: boxes with a shorter side (pixels of the input) are dropped.
        roi_samples: sampling points of RoI Align along a cell's side.
        roi_aligned: whether RoI Align shifts by half a pixel.
        level_at: a box of `boxes.level_side` pixels is pooled from this pyramid level.
        smooth_l1_beta: where smooth L1 turns from a parabola to a line.
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    size_divisor: int = 32
    rpn_box_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    box_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    box_clip: float = math.log(1000.0 / 16)
    rpn_min_side: float = 1e-3
    min_side: float = 1e-2
    roi_samples: int = 2
    roi_aligned: bool = False
    level_at: int = 4
    smooth_l1_beta: float = 1 / 9


TORCHVISION = Conventions()
