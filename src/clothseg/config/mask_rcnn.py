"""Settings of Mask R-CNN, in order from the features to the losses."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from clothseg.config.section import Count, Depth, Fraction, NonNegative, Positive, Section, Width
from clothseg.config.shared import PyramidSettings

BoxLoss = Literal["smooth_l1", "l2"]


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


class MaskRefinementSettings(Section):
    """A second stage of the mask: finer cells, from features of stride 4."""

    size: Depth = 0
    """Side of the refined mask, for example 56; 0 leaves the stage out."""
    channels: Width = 32
    """Channels of its features and convolutions."""
    num_conv: Annotated[Depth, Field(ge=1)] = 2
    """Convolutions over an object's features."""


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
    refined_mask: NonNegative = 1.0
    """Refined mask of positive proposals, with `mask_refinement`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, populate_by_name=True)


class MaskRCNNSettings(PyramidSettings):
    """Mask R-CNN with a feature pyramid."""

    title: ClassVar[str] = "Mask R-CNN"
    name: Literal["mask_rcnn"] = "mask_rcnn"
    """Which network this is."""
    conventions: Literal["torchvision", "detectron2", "matterport"] = "torchvision"
    """Whose arithmetic to follow where implementations differ; a weights file of another origin brings its own."""
    rpn: RpnSettings = Field(default_factory=RpnSettings)
    box_head: BoxHeadSettings = Field(default_factory=BoxHeadSettings)
    mask_head: MaskHeadSettings = Field(default_factory=MaskHeadSettings)
    mask_refinement: MaskRefinementSettings = Field(default_factory=MaskRefinementSettings)
    loss_weights: LossWeights = Field(default_factory=LossWeights)

    @property
    def weight_by_loss(self) -> dict[str, float]:
        """See `NetworkSettings.weight_by_loss`; without a refinement it has no such loss."""
        absent = set() if self.mask_refinement.size else {"refined_mask"}
        return {name: weight for name, weight in super().weight_by_loss.items() if name not in absent}
