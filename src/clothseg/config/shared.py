"""Settings that every network shares: its input, its backbone, what counts as a detection."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from clothseg.config.section import Count, Fraction, FrozenStages, NonNegative, Positive, Section, Side, Triple


class InputSettings(Section):
    """How a photo becomes the network's input."""

    resize: Literal["fit", "keep_ratio", "square", "none"] = "keep_ratio"
    """`fit`: into a fixed frame; `keep_ratio`: by the short side; `square`: into a padded square of `max_side`; `none`:
    as the photo is, unless its long side is more than `max_side`."""
    height: Side = 512
    """Height of the frame in pixels, for `fit`."""
    width: Side = 512
    """Width of the frame in pixels, for `fit`."""
    min_side: Side = 800
    """Length of the short side in pixels, for `keep_ratio`; the least length of it for `square`."""
    max_side: Side = 1333
    """Largest length of the long side in pixels, for all but `fit`."""
    mean: Triple | None = None
    """Channel means, in the order of `channels` and the range of the conventions; null takes the conventions' own."""
    std: tuple[Positive, Positive, Positive] | None = None
    """Channel standard deviations, like `mean`."""
    channels: Literal["rgb", "bgr"] | None = None
    """Order of the channels; null takes that of the conventions."""


class BackboneSettings(Section):
    """The backbone: five stages, the first of which is the stem."""

    name: str = "resnet50"
    """`resnet18`, `resnet34`, `resnet50`, `resnet101`, `resnext101_32x8d`, `resnet52` and `resnet103` (a stem of three
    convolutions), `mobilenetv2`, or `timm/NAME`."""
    frozen_stages: FrozenStages = 2
    """How many of the five stages keep their weights; the words `heads`, `5+`, `4+`, `3+`, `2+`, `all` work too."""
    norm: Literal["frozen", "group", "batch"] = "frozen"
    """`frozen`: batch norm that stays as loaded; `group`: group norm, for a start without pretrained weights; `batch`:
    batch norm with the statistics of each batch, for large batches."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate on the branch of each residual block (our ResNets only)."""
    stride_first: bool | None = None
    """Whether a bottleneck strides in its first convolution; null takes that of the conventions."""
    norm_eps: NonNegative | None = None
    """Epsilon of the norms; null takes that of the conventions."""


class InferenceSettings(Section):
    """What counts as a detection, and how detection is computed."""

    score_threshold: Fraction = 0.05
    """Lowest score of a detection."""
    class_thresholds: dict[str, Fraction] = Field(default_factory=dict)
    """Lowest score by class name, at or above `score_threshold`."""
    nms_iou: Fraction = 0.5
    """IoU above which NMS drops the lower-scoring of two detections of one class."""
    class_agnostic_nms_iou: Annotated[float, Field(gt=0, le=1)] | None = None
    """Mask IoU from which only the best of detections of different classes stays; null keeps all."""
    max_detections: Count = 100
    """Largest number of detections on a photo."""
    mask_threshold: Fraction = 0.5
    """Probability from which a pixel belongs to the mask."""
    mask_rescoring: bool = False
    """Multiply each score by the mean probability of its mask's own pixels."""
    compile: bool = False
    """Compile the network at the first photo (not in training): slower once, faster from then on."""
    channels_last: bool = False
    """Run the backbone in channels-last memory order: faster on most processors; the last digits differ."""

    @model_validator(mode="after")
    def _thresholds_within_reach(self) -> Self:
        low = [f"{name}={least}" for name, least in self.class_thresholds.items() if least < self.score_threshold]
        if low:
            raise ValueError(
                f"the thresholds {', '.join(low)} are below score_threshold, {self.score_threshold}, so they change "
                "nothing; lower inference.score_threshold too"
            )
        return self


class NetworkSettings(Section):
    """What every network's own section has: its name and the weights of its losses."""

    name: str
    loss_weights: Section

    @property
    def weight_by_loss(self) -> dict[str, float]:
        """The weight of each loss in the total, by the name of the loss."""
        return self.loss_weights.model_dump(by_alias=True)
