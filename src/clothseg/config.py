"""`Config`: every number that describes a network and its training, in one tree that YAML files and overrides fill.

The sections follow the network from the photo to the loss. `docs/config.md` puts the names of the Keras implementation
(`RPN_ANCHOR_SCALES`, ...) beside these.
"""

import difflib
import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from annotated_types import Len
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from clothseg.errors import ConfigError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0)]
Triple = tuple[float, float, float]
LAYERS = {"heads": 5, "5+": 4, "4+": 3, "3+": 2, "all": 0}
"""Words for what is trained, as the Keras implementation has them, and the number of stages that they freeze."""


def _frozen_stages(value: Any) -> Any:
    return LAYERS.get(value, value) if isinstance(value, str) else value


Frozen = Annotated[int, BeforeValidator(_frozen_stages), Field(ge=0, le=5)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, and values are checked when they are set too."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class Picture(Section):
    """How a photo becomes the network's input.

    `fit` scales it into one fixed frame and pads the rest; `keep_ratio` scales its short side to `min_side`, or less
    where its long side would pass `max_side`; `square`, the Keras implementation's way, does not scale it down unless
    its long side would pass `max_side`, and pads it to a square of that side.

    `mean`, `std` and the order of `channels` are those of the conventions unless they are given here, in that order
    and in the range of the conventions' values (0..1 for `torchvision`, 0..255 for the others).
    """

    resize: Literal["fit", "keep_ratio", "square"] = "keep_ratio"
    height: Count = 512
    width: Count = 512
    min_side: Count = 800
    max_side: Count = 1333
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
    """What counts as a detection."""

    min_confidence: Share = 0.05
    nms_iou: Share = 0.5
    max_detections: Count = 100
    mask_threshold: Share = 0.5


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


class Change(Section):
    """One kind of change: how far it may go at `most`, and the `chance` that it falls on a photo.

    In YAML a bare number is `most`, with the chance 1.
    """

    most: Weight = 0.0
    chance: Share = 1.0

    @model_validator(mode="before")
    @classmethod
    def _bare_number(cls, value: Any) -> Any:
        return {"most": value} if isinstance(value, int | float) else value


class Part(Change):
    """A change whose `most` is a part of something, below 1."""

    most: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Angle(Change):
    """A change in degrees."""

    most: Annotated[float, Field(ge=0, le=180)] = 0.0


class Shear(Change):
    """A lean in degrees."""

    most: Annotated[float, Field(ge=0, le=60)] = 0.0


class Augment(Section):
    """Changes to training photos, boxes and masks together.

    With `copies` 0 every look at a photo is a new one. Otherwise each photo has that many fixed versions, the first
    one unchanged, so that the outputs of frozen stages can be kept.

    `flip` is the chance of a mirror image. Of place: `scale` and `stretch` (both sides alike, and each for itself) by a
    factor up to 1 +- most, `shift` up to this part of a side, `rotate` and `shear` up to these degrees, `waves` (the
    piecewise affine change) up to this part of a side; `jitter` zooms by a factor between its two numbers and moves the
    cut-out (large-scale jitter). Of value: `multiply` (brightness), `contrast` and `colour` (saturation) by a factor up
    to 1 +- most, `blur` up to this sigma in pixels, `sharpen` up to a factor of 1 + most. `paste` is the chance that
    objects of another photo are pasted in front (copy-paste).
    """

    copies: Annotated[int, Field(ge=0)] = 0
    flip: Share = 0.5
    scale: Part = Field(default_factory=Part)
    stretch: Part = Field(default_factory=Part)
    shift: Part = Field(default_factory=Part)
    rotate: Angle = Field(default_factory=Angle)
    shear: Shear = Field(default_factory=Shear)
    waves: Part = Field(default_factory=Part)
    jitter: tuple[Positive, Positive] | None = None
    multiply: Part = Field(default_factory=Part)
    contrast: Part = Field(default_factory=Part)
    colour: Part = Field(default_factory=Part)
    blur: Change = Field(default_factory=Change)
    sharpen: Change = Field(default_factory=Change)
    paste: Share = 0.0

    @model_validator(mode="after")
    def _jitter_in_order(self) -> Self:
        if self.jitter and self.jitter[0] > self.jitter[1]:
            raise ValueError(f"jitter {list(self.jitter)}: the smaller factor comes first")
        return self


class Stage(Section):
    """A part of the training: which `layers` learn, `until` the end of which epoch, and how fast.

    `heads` is all but the trunk; `5+`, `4+` and `3+` are the trunk's last stages too; `all` is everything; a number is
    how many stages of the trunk keep their weights. Without a `learning_rate` it is the one of `train`.
    """

    layers: Frozen
    until: Count
    learning_rate: Positive | None = None


class Train(Section):
    """The loop: how long, how fast, and what is kept.

    Without `stages` all that `backbone.frozen_stages` leaves free learns until the last of the `epochs`; with them, the
    last one ends there. Warm-up and schedule belong to each stage.

    `steps_per_epoch` null means all photos once. A step learns from `accumulate` batches of `batch_size` photos, one
    after the other, which takes the memory of one. `precision` is the one of Fabric. `weight_decay` does not fall on
    norms and biases. With `average` above 0 (such as 0.99), validation and the weights handed out are those of an
    exponential average that keeps this part at each step. `best` is the loss whose smallest value says which epoch's
    weights are handed out (`last`: simply the last). `save_every` so many steps a checkpoint is written within an epoch
    too. `on_nan` says whether a loss that is not finite stops the run or skips the step. `keep_features_mb` bounds the
    memory for outputs of frozen stages.
    """

    epochs: Count = 12
    stages: tuple[Stage, ...] = ()
    steps_per_epoch: Count | None = None
    batch_size: Count = 2
    accumulate: Count = 1
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Positive = 0.0025
    backbone_rate: Positive = 1.0
    momentum: Share = 0.9
    weight_decay: Weight = 0.0001
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    clip_gradients: Positive | None = None
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    save_every: Count | None = None
    on_nan: Literal["stop", "skip"] = "stop"
    keep_features_mb: Annotated[int, Field(ge=0)] = 1000
    best: Literal["last", "val_total", "val_class", "val_bbox", "val_mask"] = "val_total"
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _stages_in_order(self) -> Self:
        ends = [stage.until for stage in self.stages]
        if ends and (sorted(set(ends)) != ends or ends[-1] != self.epochs):
            raise ValueError(
                f"stages end after epochs {ends}; each must end later than the one before, and the last one "
                f"with the {self.epochs} epochs"
            )
        return self


class Config(Section):
    """All settings of a network and its training.

    `weights` is what the network starts from: `random`, `imagenet-efficientnet-lite0` (installed with this package),
    the name of a published file (`clothseg weights download` lists them), or a file. `conventions` says whose
    arithmetic it follows where implementations differ; a foreign file brings its own.
    """

    network: Literal["mask_rcnn"] = "mask_rcnn"
    conventions: Literal["torchvision", "detectron2", "matterport"] = "torchvision"
    weights: str = "random"
    picture: Picture = Field(default_factory=Picture)
    backbone: Backbone = Field(default_factory=Backbone)
    pyramid: Pyramid = Field(default_factory=Pyramid)
    anchors: Anchors = Field(default_factory=Anchors)
    rpn: Rpn = Field(default_factory=Rpn)
    boxes: Boxes = Field(default_factory=Boxes)
    mask: MaskHead = Field(default_factory=MaskHead)
    detect: Detect = Field(default_factory=Detect)
    losses: Losses = Field(default_factory=Losses)
    augment: Augment = Field(default_factory=Augment)
    train: Train = Field(default_factory=Train)

    @model_validator(mode="after")
    def _scales_for_every_level(self) -> Self:
        if len(self.anchors.scales) != len(self.pyramid.levels):
            raise ValueError(
                f"anchors.scales has {len(self.anchors.scales)} entries, but pyramid.levels has "
                f"{len(self.pyramid.levels)}; each level needs its own list of side lengths"
            )
        return self

    @model_validator(mode="after")
    def _as_many_scales_on_each(self) -> Self:
        counts = [len(scales) for scales in self.anchors.scales]
        if len(set(counts)) > 1 or not counts[0]:
            raise ValueError(
                f"anchors.scales has {counts} side lengths on the levels; the same head looks at every level, so each "
                "needs as many, and at least one"
            )
        return self

    @classmethod
    def load(cls, source: str | Path, overrides: Sequence[str] = ()) -> "Config":
        """Read a YAML file, or a preset by its name, and apply `overrides` such as `train.epochs=3`.

        Raises:
            ConfigError: with every problem of file and overrides, not just the first.
        """
        tree, name = read_settings(source)
        return cls.from_tree(tree, overrides, name)

    @classmethod
    def from_tree(cls, tree: dict[str, Any], overrides: Sequence[str], name: str) -> "Config":
        """Sections and values, and `overrides` over them; `name` says in messages where they come from.

        Raises:
            ConfigError: with every problem, not just the first.
        """
        tree = deepcopy(tree)
        problems = [problem for override in overrides if (problem := _override(tree, override))]
        try:
            config = cls.model_validate(tree)
        except ValidationError as error:
            problems += _in_words(error)
        if problems:
            raise ConfigError(f"{name} has {len(problems)} problem(s):\n" + "\n".join(f"  {p}" for p in problems))
        return config

    def extended(self, epochs: int) -> "Config":
        """The same training with so many more epochs, as a stage of their own that trains what the last one did."""
        train = self.train
        stages = train.stages or (Stage(layers=self.backbone.frozen_stages, until=train.epochs),)
        more = stages[-1].model_copy(update={"until": train.epochs + epochs})
        longer = train.model_copy(update={"epochs": train.epochs + epochs, "stages": (*stages, more)})
        return self.model_copy(update={"train": longer})

    def to_yaml(self) -> str:
        """Every value, as YAML that `load` reads back to an equal `Config`."""
        return yaml.safe_dump(self.model_dump(mode="json", by_alias=True), sort_keys=False, default_flow_style=None)

    def display(self) -> None:
        """Print every value, in the manner of the Keras implementation."""
        print(self.to_yaml(), end="")


class _OnceOnly(yaml.SafeLoader):
    """YAML as `yaml.safe_load` reads it, but a key that stands twice is an error: one of the values would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key} stands twice", problem_mark=key_node.start_mark)
            seen |= {key} if isinstance(key, str) else set()
        return super().construct_mapping(node, deep)


def read_settings(source: str | Path) -> tuple[dict[str, Any], str]:
    """What stands in a YAML (or JSON) file or preset, unchecked, and its name for messages.

    Raises:
        ConfigError: there is none, or it is not keys and values.
    """
    text, name = _read(source)
    try:
        tree = yaml.load(text, _OnceOnly)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is not valid YAML: {error}") from error
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{name}: expected keys and values, found {type(tree).__name__}")
    return tree, name


def preset_names() -> list[str]:
    """Names that `Config.load` knows without a path."""
    return sorted(p.name.removesuffix(".yaml") for p in _presets().iterdir() if p.name.endswith(".yaml"))


def _presets() -> Any:
    return resources.files("clothseg") / "configs"


def _read(source: str | Path) -> tuple[str, str]:
    path = Path(source)
    preset = _presets() / f"{source}.yaml"
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8"), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read as text ({error})") from error
    if path.name == str(source) and preset.is_file():
        return preset.read_text(encoding="utf-8"), f"preset {source}"
    raise ConfigError(f"{source}: no such configuration file, and no preset; presets are {', '.join(preset_names())}")


def _override(tree: dict[str, Any], override: str) -> str | None:
    """Put `a.b=value` (value as YAML) into `tree`; return what is wrong with it, if anything."""
    dotted, equals, text = override.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        return f"override {override!r}: write it as section.key=value"
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return f"override {override!r}: the value is not valid YAML"
    branch = tree
    for key in keys[:-1]:
        if branch.get(key) is None:
            branch[key] = {}
        branch = branch[key]
        if not isinstance(branch, dict):
            return f"override {override!r}: {key} is a value, not a section"
    branch[keys[-1]] = value
    return None


def _in_words(error: ValidationError) -> list[str]:
    problems = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            problems.append(f"{place}: unknown key{_near(item['loc'])}")
        else:
            given = f" (given: {item['input']!r})" if place and not isinstance(item["input"], dict) else ""
            problems.append(f"{place + ': ' if place else ''}{item['msg'].removeprefix('Value error, ')}{given}")
    return problems


def _near(place: tuple[int | str, ...]) -> str:
    """A word on the keys that stand where an unknown one was found."""
    section: Any = Config
    for part in place[:-1]:
        section = section.model_fields[part].annotation
    known = [field.alias or name for name, field in section.model_fields.items()]
    close = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"
