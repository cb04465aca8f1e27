"""Settings of DeepLabv3, DeepLabv3+ and Panoptic-DeepLab, in order from the features to the losses."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from clothseg.config.section import Count, CountOrNone, Depth, Fraction, NonNegative, Positive, Section, Width
from clothseg.config.shared import NetworkSettings

Dropout = Annotated[float, Field(ge=0, lt=1)]


class AsppSettings(Section):
    """Atrous spatial pyramid pooling (ASPP), on the backbone's last stage."""

    channels: Width = 256
    """Channels of each branch, and of the result."""
    dilations: tuple[Count, ...] | None = None
    """Dilations of the 3 x 3 branches; null is 6, 12, 18 for `output_stride: 16`, and the same in pixels for others."""
    separable: bool = False
    """Whether the 3 x 3 branches are depthwise separable."""
    pool_window: tuple[Count, Count] | None = None
    """Height and width, in pixels of the input, of the window of the pooled branch; null pools the whole input."""
    dropout: Dropout = 0.1
    """Dropout rate after ASPP."""


class DecoderSettings(Section):
    """The decoder: ASPP's map, upsampled step by step and combined with finer maps of the backbone."""

    levels: tuple[int, ...] = (2,)
    """Levels of the backbone by the power of two of their stride, coarse to fine; [] is DeepLabv3: no decoder."""
    projected: tuple[Width, ...] = (48,)
    """Channels to which the map of each level is reduced."""
    channels: Width = 256
    """Channels of the result of each step."""
    num_conv: Annotated[Depth, Field(ge=1)] = 1
    """Convolutions of each step."""
    kernel_size: Literal[3, 5] = 3
    """Side of their kernels."""
    separable: bool = False
    """Whether they, and those of the heads, are depthwise separable."""

    @model_validator(mode="after")
    def _levels_fit(self) -> Self:
        if list(self.levels) != sorted(set(self.levels), reverse=True) or any(not 1 <= n <= 4 for n in self.levels):
            raise ValueError("levels go from coarse to fine, each from 4 to 1, such as [3, 2]; [] is no decoder")
        if len(self.levels) != len(self.projected):
            raise ValueError(
                f"projected has {len(self.projected)} entries, but levels has {len(self.levels)}; each level needs one"
            )
        return self


class SemanticHeadSettings(Section):
    """The head that gives a class to each pixel."""

    num_conv: Depth = 0
    """Convolutions before the last layer."""
    channels: Width = 256
    """Channels of the last of them."""


class ComponentSettings(Section):
    """Instances as connected parts of a class (`instances: components`)."""

    min_area: Count = 64
    """Smallest part, in pixels of the network's input."""
    connectivity: Literal[4, 8] = 8
    """Whether pixels that touch at a corner only (8) are connected."""


class CenterSettings(Section):
    """Instances by their centers (`instances: centers`): Panoptic-DeepLab's instance branch and its grouping."""

    aspp_channels: Width = 256
    """Channels of the instance branch's ASPP."""
    projected: tuple[Width, ...] = (64,)
    """Channels to which the map of each of the decoder's levels is reduced in the instance branch."""
    channels: Width = 128
    """Channels of the instance branch's decoder."""
    head_channels: Width = 32
    """Channels before the last layers."""
    threshold: Fraction = 0.1
    """Value of the heat map above which a peak is a center."""
    nms_kernel: Count = 7
    """Side of the window in which a peak is the highest, in pixels of the input; odd."""
    top_k: Count = 200
    """Largest number of centers; with as many or more, those as low as the last one are dropped."""
    min_area: Count = 1
    """Smallest instance, in pixels of the network's input."""
    sigma: Positive = 8.0
    """Standard deviation of a center's Gaussian in the target, in pixels of the input."""

    @model_validator(mode="after")
    def _kernel_is_odd(self) -> Self:
        if self.nms_kernel % 2 == 0:
            raise ValueError(f"nms_kernel is {self.nms_kernel}, but must be odd")
        return self


class PixelLossSettings(Section):
    """Which pixels the losses `semantic` and `aux` learn from."""

    hard_pixels: Annotated[float, Field(gt=0, le=1)] | None = None
    """Fraction of all pixels, those of highest loss, that `semantic` learns from; null: the mean over labelled ones."""
    small_object_area: CountOrNone = 0
    """Objects with fewer pixels of the input count more in `semantic`; 0 is off."""
    small_object_weight: Positive = 3.0
    """By this factor."""


class DeepLabLossWeights(Section):
    """The weight of each loss in the total."""

    semantic: NonNegative = 1.0
    """Class of each pixel."""
    aux: NonNegative = 0.5
    """The same, of the auxiliary head."""
    center: NonNegative = 200.0
    """Heat map of centers."""
    offset: NonNegative = 0.01
    """Offsets to the centers."""


class DeepLabSettings(NetworkSettings):
    """DeepLabv3+: a class for each pixel, and instances from that."""

    title: ClassVar[str] = "DeepLab"
    labels_pixels: ClassVar[bool] = True
    name: Literal["deeplab"] = "deeplab"
    """Which network this is."""
    conventions: Literal["torchvision", "vainf", "detectron2"] = "torchvision"
    """Whose arithmetic to follow where implementations differ; a weights file of another origin brings its own."""
    output_stride: Literal[8, 16, 32] = 16
    """Stride of the backbone's last stage; what is less than 32 comes from dilated convolutions."""
    norm: Literal["frozen", "group", "batch", "none"] = "group"
    """Norm of ASPP, decoder and heads; `batch` needs at least two photos in a batch."""
    aspp: AsppSettings = Field(default_factory=AsppSettings)
    decoder: DecoderSettings = Field(default_factory=DecoderSettings)
    head: SemanticHeadSettings = Field(default_factory=SemanticHeadSettings)
    aux: bool = False
    """Whether an auxiliary head on the last stage but one learns too; it is not used in inference."""
    instances: Literal["components", "centers"] = "components"
    """How pixels become instances: connected parts of a class, or pixels that point to the same center."""
    components: ComponentSettings = Field(default_factory=ComponentSettings)
    centers: CenterSettings = Field(default_factory=CenterSettings)
    pixel_loss: PixelLossSettings = Field(default_factory=PixelLossSettings)
    loss_weights: DeepLabLossWeights = Field(default_factory=DeepLabLossWeights)

    @model_validator(mode="after")
    def _both_branches_have_the_levels(self) -> Self:
        if self.instances == "centers" and len(self.centers.projected) != len(self.decoder.levels):
            raise ValueError(
                f"centers.projected has {len(self.centers.projected)} entries, but decoder.levels has "
                f"{len(self.decoder.levels)}; each level needs one"
            )
        return self

    @property
    def aspp_dilations(self) -> tuple[int, ...]:
        """The dilations of ASPP's branches, chosen or by the output stride."""
        return self.aspp.dilations or tuple(max(1, 16 * rate // self.output_stride) for rate in (6, 12, 18))

    @property
    def weight_by_loss(self) -> dict[str, float]:
        """See `NetworkSettings.weight_by_loss`; losses that this network does not have are left out."""
        absent = set() if self.aux else {"aux"}
        absent |= set() if self.instances == "centers" else {"center", "offset"}
        return {name: weight for name, weight in super().weight_by_loss.items() if name not in absent}
