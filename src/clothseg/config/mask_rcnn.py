"""Settings of Mask R-CNN, in order from the features to the losses."""

from typing import Annotated, Literal, Self

from annotated_types import Len
from pydantic import ConfigDict, Field, model_validator

from clothseg.config.section import Count, Depth, Fraction, NonNegative, Positive, Section, Width
from clothseg.config.shared import NetworkSettings

BoxLoss = Literal["smooth_l1", "l2"]


class FpnSettings(Section):
    """The feature pyramid network (FPN)."""

    channels: Width = 256
    """Channels of every level."""
    levels: Annotated[tuple[int, ...], Len(min_length=1)] = (2, 3, 4, 5, 6)
    """Levels by the power of two of their stride (2 is stride 4); those beyond the backbone's are subsampled."""
    norm: Literal["none", "frozen", "group"] = "none"
    """Norm after each convolution."""

    @model_validator(mode="after")
    def _levels_in_order(self) -> Self:
        first = self.levels[0]
        if list(self.levels) != list(range(first, first + len(self.levels))) or not 1 <= first <= 5:
            raise ValueError("levels must follow one another, the first from 1 to 5, such as [3, 4, 5]")
        return self


class AnchorSettings(Section):
    """Anchor boxes."""

    scales: tuple[tuple[Positive, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    """For each FPN level one or several side lengths, in pixels of the network's input."""
    ratios: Annotated[tuple[Positive, ...], Len(min_length=1)] = (0.5, 1.0, 2.0)
    """Height over width, for all levels."""


class RpnSettings(Section):
    """The region proposal network (RPN): its head, how anchors are sampled, which proposals it keeps."""

    num_conv: Annotated[Depth, Field(ge=1)] = 1
    """Convolutions of the head."""
    channels: Width | None = None
    """Channels of these convolutions; null takes those of the FPN."""
    foreground_iou: Fraction = 0.7
    """IoU from which an anchor is positive."""
    background_iou: Fraction = 0.3
    """IoU below which an anchor is negative."""
    samples: Count = 256
    """Anchors that a step learns from, per photo."""
    positive_fraction: Fraction = 0.5
    """Largest fraction of them that is positive."""
    nms_iou: Fraction = 0.7
    """IoU above which NMS drops a proposal."""
    pre_nms_top_n_train: Count = 2000
    """Proposals of each level before NMS, in training."""
    pre_nms_top_n_test: Count = 1000
    """Proposals of each level before NMS, in inference."""
    post_nms_top_n_train: Count = 2000
    """Proposals of a photo after NMS, in training."""
    post_nms_top_n_test: Count = 1000
    """Proposals of a photo after NMS, in inference."""
    box_loss: BoxLoss = "smooth_l1"
    """Loss of the box deltas: `smooth_l1`, or half the squared error (`l2`, the report's experiment)."""


class BoxHeadSettings(Section):
    """The box head: class and box of a proposal."""

    foreground_iou: Fraction = 0.5
    """IoU from which a proposal is positive."""
    background_iou: Fraction = 0.5
    """IoU below which a proposal is negative."""
    samples: Count = 512
    """Proposals that a step learns from, per photo."""
    positive_fraction: Fraction = 0.25
    """Largest fraction of them that is positive."""
    pool_size: Annotated[Depth, Field(ge=1)] = 7
    """Side of the pooled features."""
    canonical_size: Positive = 224
    """Side in pixels of a box that is pooled from stride 16; 224 suits inputs of 800 pixels."""
    num_conv: Depth = 0
    """Convolutions before the dense layers."""
    norm: Literal["none", "frozen", "group"] = "none"
    """Norm of these convolutions."""
    num_fc: Annotated[Depth, Field(ge=1)] = 2
    """Dense layers."""
    fc_dim: Width = 1024
    """Width of the dense layers."""
    fc_norm: Literal["none", "frozen"] = "none"
    """Norm of the dense layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate before the last layers."""
    box_loss: BoxLoss = "smooth_l1"
    """Loss of the box deltas: `smooth_l1`, or half the squared error (`l2`)."""


class MaskHeadSettings(Section):
    """The mask head: the mask of a detection."""

    pool_size: Annotated[Depth, Field(ge=1)] = 14
    """Side of the pooled features; the mask is twice as large."""
    channels: Width = 256
    """Channels of the convolutions."""
    num_conv: Depth = 4
    """Convolutions before the upsampling."""
    norm: Literal["none", "frozen", "group"] = "none"
    """Norm of these convolutions."""


class LossWeights(Section):
    """The weight of each loss in the total."""

    rpn_class: NonNegative = 1.0
    """Object or background, for anchors."""
    rpn_bbox: NonNegative = 1.0
    """Box deltas of anchors."""
    class_: NonNegative = Field(1.0, alias="class")
    """Class of proposals."""
    bbox: NonNegative = 1.0
    """Box deltas of proposals."""
    mask: NonNegative = 1.0
    """Mask of positive proposals."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, populate_by_name=True)


class MaskRCNNSettings(NetworkSettings):
    """Mask R-CNN with a feature pyramid."""

    name: Literal["mask_rcnn"] = "mask_rcnn"
    """Which network this is."""
    conventions: Literal["torchvision", "detectron2", "matterport"] = "torchvision"
    """Whose arithmetic to follow where implementations differ; a weights file of another origin brings its own."""
    fpn: FpnSettings = Field(default_factory=FpnSettings)
    anchors: AnchorSettings = Field(default_factory=AnchorSettings)
    rpn: RpnSettings = Field(default_factory=RpnSettings)
    box_head: BoxHeadSettings = Field(default_factory=BoxHeadSettings)
    mask_head: MaskHeadSettings = Field(default_factory=MaskHeadSettings)
    loss_weights: LossWeights = Field(default_factory=LossWeights)

    @model_validator(mode="after")
    def _scales_for_every_level(self) -> Self:
        if len(self.anchors.scales) != len(self.fpn.levels):
            raise ValueError(
                f"anchors.scales has {len(self.anchors.scales)} entries, but fpn.levels has {len(self.fpn.levels)}; "
                "each level needs its own list of side lengths"
            )
        return self

    @model_validator(mode="after")
    def _same_number_of_scales(self) -> Self:
        counts = [len(scales) for scales in self.anchors.scales]
        if len(set(counts)) > 1 or not counts[0]:
            raise ValueError(
                f"anchors.scales has {counts} side lengths on the levels; one head looks at every level, so each level "
                "needs the same number, at least one"
            )
        return self
