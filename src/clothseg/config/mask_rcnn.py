"""Settings of the network, in the order of the way from the photo to the loss."""

import math
from collections.abc import Callable
from typing import Annotated, Literal, Self

from annotated_types import Len
from pydantic import ConfigDict, Field, model_validator

from clothseg.config.section import Count, Frozen, Positive, Section, Share, Side, Triple, Weight


class Picture(Section):
    """How a photo becomes the network's input.

    `fit` scales it into one fixed frame and pads the rest; `keep_ratio` scales its short side to `min_side`, or less
    where its long side would pass `max_side`; `square`, the Keras implementation's way, does not scale it down unless
    its long side would pass `max_side`, and pads it to a square of that side.

    `mean`, `std` and the order of `channels` are those of the conventions unless they are given here, in that order
    and in the range of the conventions' values (0..1 for `torchvision`, 0..255 for the others).
    """

    resize: Literal["fit", "keep_ratio", "square"] = "keep_ratio"
    height: Side = 512
    width: Side = 512
    min_side: Side = 800
    max_side: Side = 1333
    mean: Triple | None = None
    std: tuple[Positive, Positive, Positive] | None = None
    channels: Literal["rgb", "bgr"] | None = None

    def resized(
        self, size: tuple[int, int], rounding: Literal["down", "half_up", "half_even"] = "down"
    ) -> tuple[int, int]:
        """Height and width of a photo of `size` (height, width) after resizing, before padding."""
        if self.resize == "fit":
            scale = min(self.height / size[0], self.width / size[1])
        elif self.resize == "square":
            scale = max(1.0, self.min_side / min(size))
            if round(max(size) * scale) > self.max_side:
                scale = self.max_side / max(size)
        elif rounding == "half_up":
            return self._keep_ratio_half_up(size)
        else:
            scale = min(self.min_side / min(size), self.max_side / max(size))
        ways: dict[str, Callable[[float], int]] = {"down": math.floor, "half_up": _half_up, "half_even": round}
        rounded = ways[rounding]
        return max(1, rounded(size[0] * scale)), max(1, rounded(size[1] * scale))

    def _keep_ratio_half_up(self, size: tuple[int, int]) -> tuple[int, int]:
        """Both sides by the short one's scale; if the long one is too long then, both sides again."""
        short = self.min_side / min(size)
        height, width = (short * size[0], short * size[1])
        height, width = (self.min_side, width) if size[0] < size[1] else (height, self.min_side)
        if (longest := max(height, width)) > self.max_side:
            again = self.max_side / longest
            height, width = height * again, width * again
        return max(1, _half_up(height)), max(1, _half_up(width))


def _half_up(value: float) -> int:
    return int(value + 0.5)


class Backbone(Section):
    """The trunk: `resnet18`, `resnet34`, `resnet50`, `resnet101`, `resnext101_32x8d`, or `timm/NAME`.

    `frozen_stages` of its five stages (the stem is the first) keep their weights; the Keras implementation's words for
    what is trained, `heads`, `5+`, `4+`, `3+` and `all`, are understood too. `norm` is `frozen` (batch statistics and
    weights stay as loaded) or `group` (for a start without pretrained weights; our ResNets only). `dropout` falls on
    what each residual block adds (our ResNets only). `stride_first` (a block strides in its first convolution) and
    `norm_eps` are those of the conventions unless they are given here.
    """

    name: str = "resnet50"
    frozen_stages: Frozen = 2
    norm: Literal["frozen", "group"] = "frozen"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    stride_first: bool | None = None
    norm_eps: Annotated[float, Field(ge=0)] | None = None


class Pyramid(Section):
    """Feature pyramid: `levels` by their stride's power of two (2 is stride 4), the last ones made by subsampling."""

    channels: Count = 256
    levels: Annotated[tuple[int, ...], Len(min_length=1)] = (2, 3, 4, 5, 6)
    norm: Literal["none", "frozen", "group"] = "none"

    @model_validator(mode="after")
    def _levels_in_order(self) -> Self:
        first = self.levels[0]
        if list(self.levels) != list(range(first, first + len(self.levels))) or not 1 <= first <= 5:
            raise ValueError("levels must follow one another, the first from 1 to 5, such as [3, 4, 5]")
        return self


class Anchors(Section):
    """Anchor boxes: for each pyramid level one or several side lengths in pixels of the network's input, and ratios
    (height / width) for all."""

    scales: tuple[tuple[Positive, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    ratios: Annotated[tuple[Positive, ...], Len(min_length=1)] = (0.5, 1.0, 2.0)


class Rpn(Section):
    """Region proposals: the head, sampling and matching of anchors, and which proposals go on (train, detect).

    `channels` of its `convolutions`: null means as many as the pyramid has.
    """

    convolutions: Count = 1
    channels: Count | None = None
    foreground_iou: Share = 0.7
    background_iou: Share = 0.3
    samples: Count = 256
    positive_share: Share = 0.5
    nms_iou: Share = 0.7
    candidates_train: Count = 2000
    candidates_detect: Count = 1000
    proposals_train: Count = 2000
    proposals_detect: Count = 1000


class Boxes(Section):
    """The box head: matching and sampling of proposals, pooling, layers, dropout before the last ones.

    `convolutions` of the pyramid's width with `norm` come first, then `dense` layers `hidden` wide with `dense_norm`.

    A box of `level_side` pixels of the input is pooled from stride 16, one of half that from stride 8, and so on; 224
    suits inputs of 800 pixels.
    """

    foreground_iou: Share = 0.5
    background_iou: Share = 0.5
    samples: Count = 512
    positive_share: Share = 0.25
    pooled: Count = 7
    level_side: Positive = 224
    convolutions: Annotated[int, Field(ge=0)] = 0
    norm: Literal["none", "frozen", "group"] = "none"
    dense: Count = 2
    hidden: Count = 1024
    dense_norm: Literal["none", "frozen"] = "none"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class MaskHead(Section):
    """The mask head: convolutions and their norm, pooled size in, mask of twice that size out."""

    pooled: Count = 14
    channels: Count = 256
    convolutions: Annotated[int, Field(ge=0)] = 4
    norm: Literal["none", "frozen", "group"] = "none"


class Detect(Section):
    """What counts as a detection.

    `thresholds` are least scores by class name, over `min_confidence`. With `cross_class_iou`, of detections of
    different classes whose masks overlap by so much only the surest stays: one garment, one name.
    With `mask_score` a detection's score is that of its class times how sure its mask is: a vague outline comes later.
    With `compile` the network is compiled at the first photo (not in training): it costs a minute or two once, and
    each photo takes less time from then on. `channels_last` is another order of memory in the trunk, faster on most
    processors; what is compiled has it anyway. With either the last digits are others.
    """

    min_confidence: Share = 0.05
    thresholds: dict[str, Share] = Field(default_factory=dict)
    nms_iou: Share = 0.5
    cross_class_iou: Annotated[float, Field(gt=0, le=1)] | None = None
    max_detections: Count = 100
    mask_threshold: Share = 0.5
    mask_score: bool = False
    compile: bool = False
    channels_last: bool = False

    @model_validator(mode="after")
    def _thresholds_within_reach(self) -> Self:
        low = [f"{name}={least}" for name, least in self.thresholds.items() if least < self.min_confidence]
        if low:
            raise ValueError(
                f"the thresholds {', '.join(low)} are below min_confidence, {self.min_confidence}, from which on the "
                "network answers; lower detect.min_confidence too"
            )
        return self


class Losses(Section):
    """Weight of each loss in the total, and the kind of the two box losses (`l2` is the report's experiment)."""

    rpn_class: Weight = 1.0
    rpn_bbox: Weight = 1.0
    class_: Weight = Field(1.0, alias="class")
    bbox: Weight = 1.0
    mask: Weight = 1.0
    rpn_box_loss: Literal["smooth_l1", "l2"] = "smooth_l1"
    box_loss: Literal["smooth_l1", "l2"] = "smooth_l1"

    model_config = ConfigDict(extra="forbid", validate_assignment=True, populate_by_name=True)
