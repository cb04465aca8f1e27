"""Settings that every network shares: its input, its backbone, what counts as a detection."""

from typing import Annotated, Any, ClassVar, Literal, Self

from annotated_types import Len
from pydantic import Field, model_validator

from clothseg.config.section import Count, Fraction, FrozenStages, NonNegative, Positive, Section, Side, Triple, Width


class InputSettings(Section):
    """How a photo becomes the network's input."""

    resize: Literal["fit", "stretch", "keep_ratio", "square", "none"] = "keep_ratio"
    """`fit`: into a fixed frame; `stretch`: to the frame's height and width, whatever the photo's ratio; `keep_ratio`:
    by the short side; `square`: into a padded square of `max_side`; `none`: as the photo is, unless its long side is
    more than `max_side`."""
    height: Side = 512
    """Height of the frame in pixels, for `fit` and `stretch`."""
    width: Side = 512
    """Width of the frame in pixels, for `fit` and `stretch`."""
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

    @property
    def has_fixed_frame(self) -> bool:
        """Whether every photo gets an input of the same size."""
        return self.resize in {"fit", "stretch"}


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


class FpnSettings(Section):
    """The feature pyramid network (FPN)."""

    channels: Width = 256
    """Channels of every level."""
    levels: Annotated[tuple[int, ...], Len(min_length=1)] = (2, 3, 4, 5, 6)
    """Levels by the power of two of their stride (2 is stride 4); those beyond the backbone's are made of the last."""
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
    refine_edges: bool | Literal["auto"] = False
    """Move the edges of masks to those of the photo, as for cut-outs: sharper, and slower by a few hundredths of a
    second for each mask. `auto`: at its end, a training decides by its validation photos, and keeps the answer with the
    weights; until then the edges stay."""
    compile: bool = False
    """Compile the network at the first photo (not in training): slower once, faster from then on."""
    cuda_graphs: bool = True
    """On an NVIDIA GPU, capture the network for sizes of input that come often, and replay it: the same numbers."""

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

    title: ClassVar[str] = ""
    """The network's name on pages and in tables; without one, `name` is used."""
    labels_pixels: ClassVar[bool] = False
    """Whether the network gives a class to each pixel, and makes instances of that."""
    suits: ClassVar[dict[str, Any]] = {}
    """Values of other sections that suit the network where nobody says otherwise."""
    name: str
    loss_weights: Section

    @property
    def weight_by_loss(self) -> dict[str, float]:
        """The weight of each loss in the total, by the name of the loss."""
        return self.loss_weights.model_dump(by_alias=True)


class PyramidSettings(NetworkSettings):
    """What networks with an FPN and anchors on each of its levels have."""

    fpn: FpnSettings = Field(default_factory=FpnSettings)
    anchors: AnchorSettings = Field(default_factory=AnchorSettings)

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
