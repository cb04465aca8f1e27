"""Settings of YOLACT, in order from the features to the losses."""

from typing import Annotated, Any, ClassVar, Literal, Self

from annotated_types import Len
from pydantic import ConfigDict, Field, model_validator

from clothseg.config.section import Count, Depth, Fraction, NonNegative, Positive, Section, Width
from clothseg.config.shared import AnchorSettings, FpnSettings, PyramidSettings

HeadNorm = Literal["none", "frozen", "group"]


class YolactFpnSettings(FpnSettings):
    """The feature pyramid network (FPN); prototypes come from its finest level."""

    levels: Annotated[tuple[int, ...], Len(min_length=1)] = (3, 4, 5, 6, 7)
    """Levels by the power of two of their stride (3 is stride 8); those above 5 come from convolutions of stride 2."""


class YolactAnchorSettings(AnchorSettings):
    """Anchor boxes, which YOLACT calls priors, and which of them a step learns from."""

    scales: tuple[tuple[Positive, ...], ...] = ((24.0,), (48.0,), (96.0,), (192.0,), (384.0,))
    """For each FPN level one or several side lengths, in pixels of the network's input; the defaults suit 550."""
    ratios: Annotated[tuple[Positive, ...], Len(min_length=1)] = (1.0, 2.0, 0.5)
    """Height over width, for all levels."""
    square: bool = True
    """Anchors are as high as they are wide, whatever the ratio: an error of the original that its weights need."""
    foreground_iou: Fraction = 0.5
    """IoU from which an anchor is positive; the best anchor of an object always is."""
    background_iou: Fraction = 0.4
    """IoU below which an anchor is negative; between the two it does not count."""
    crowd_overlap: Fraction = 0.7
    """Share of an anchor in one crowd above which it does not count, unless it is positive."""
    negatives_per_positive: Positive = 3.0
    """Negative anchors that a step learns from, those that look most like an object, per positive one of the photo."""


class PrototypeSettings(Section):
    """The prototypes: maps of the whole photo, of which every mask is a weighted sum."""

    count: Width = 32
    """How many there are."""
    channels: Width = 256
    """Channels of the convolutions."""
    num_conv: Depth = 3
    """Convolutions before the upsampling by 2; one more follows it."""
    norm: HeadNorm = "none"
    """Norm of the convolutions."""
    max_positive: Count = 100
    """Positive anchors of a photo whose masks a step learns from, at most; they are drawn at random."""


class YolactHeadSettings(Section):
    """The head that all levels share: classes, boxes and mask coefficients of the anchors."""

    channels: Width = 256
    """Channels of the convolutions."""
    num_conv: Depth = 1
    """Convolutions before the last layers."""
    norm: HeadNorm = "none"
    """Norm of the convolutions."""


class SelectionSettings(Section):
    """How detections are chosen; limits and thresholds of detections themselves are in `inference`."""

    nms: Literal["fast", "cross_class", "traditional"] = "fast"
    """`fast`: within each class, in one step; `cross_class`: the same over all classes; `traditional`: greedy."""
    candidate_threshold: Fraction = 0.05
    """Anchors whose best class scores no more than this are dropped before NMS."""
    pre_nms_top_n: Count = 200
    """Anchors of a class (`fast`) or of the photo (`cross_class`) before NMS."""


class YolactLossWeights(Section):
    """The weight of each loss in the total."""

    class_: NonNegative = Field(1.0, alias="class")
    """Class of positive anchors and of hard negative ones."""
    bbox: NonNegative = 1.5
    """Box deltas of positive anchors."""
    mask: NonNegative = 6.125
    """Mask of positive anchors."""
    semantic: NonNegative = 1.0
    """Classes of the photo's places, from the finest level; only training computes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, populate_by_name=True)


class YolactSettings(PyramidSettings):
    """YOLACT: masks as sums of prototypes."""

    title: ClassVar[str] = "YOLACT"
    suits: ClassVar[dict[str, Any]] = {"input": {"resize": "stretch", "height": 550, "width": 550}}
    name: Literal["yolact"] = "yolact"
    """Which network this is."""
    fpn: YolactFpnSettings = Field(default_factory=YolactFpnSettings)
    anchors: YolactAnchorSettings = Field(default_factory=YolactAnchorSettings)
    prototypes: PrototypeSettings = Field(default_factory=PrototypeSettings)
    head: YolactHeadSettings = Field(default_factory=YolactHeadSettings)
    selection: SelectionSettings = Field(default_factory=SelectionSettings)
    whole_boxes: bool = False
    """Boxes of detections are cut to whole pixels, as the original does."""
    loss_weights: YolactLossWeights = Field(default_factory=YolactLossWeights)

    @model_validator(mode="after")
    def _background_below_foreground(self) -> Self:
        if self.anchors.background_iou > self.anchors.foreground_iou:
            raise ValueError(
                f"anchors.background_iou is {self.anchors.background_iou}, but must not be above "
                f"anchors.foreground_iou, {self.anchors.foreground_iou}"
            )
        return self
