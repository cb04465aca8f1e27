"""`Config`: all sections together, from YAML and to YAML."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from clothseg.config.mask_rcnn import Anchors, Backbone, Boxes, Detect, Losses, MaskHead, Picture, Pyramid, Rpn
from clothseg.config.parsing import in_words, override, read_settings
from clothseg.config.section import Section
from clothseg.config.shared import Augment, Stage, Train
from clothseg.errors import ConfigError


class Config(Section):
    """All settings of a network and its training.

    `weights` is what the network starts from: `random`, `imagenet-efficientnet-lite0` or `-lite2` (installed with
    this package), the name of a published file (`clothseg weights download` lists them), or a file. `conventions` says
    whose arithmetic it follows where implementations differ; a foreign file brings its own.
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
        problems = [problem for text in overrides if (problem := override(tree, text))]
        try:
            config = cls.model_validate(tree)
        except ValidationError as error:
            problems += in_words(error, cls)
        if problems:
            what = f"{name} with these settings over it" if overrides else name
            raise ConfigError(
                f"{what} has {len(problems)} problem{'s' * (len(problems) > 1)}:\n"
                + "\n".join(f"  {p}" for p in problems)
            )
        return config

    def extended(self, epochs: int, ended: int | None = None) -> "Config":
        """The same training with so many more epochs, as a stage of their own that trains what the last one did.

        Args:
            epochs: how many more.
            ended: the epoch after which it ended, where that was earlier than planned.
        """
        train = self.train
        end = ended or train.epochs
        stages = train.stages or (Stage(layers=self.backbone.frozen_stages, until=train.epochs),)
        first = [stage for stage in stages if stage.until < end]
        last = stages[len(first)].model_copy(update={"until": end})
        more = last.model_copy(update={"until": end + epochs})
        longer = train.model_copy(update={"epochs": end + epochs, "stages": (*first, last, more)})
        return self.model_copy(update={"train": longer})

    def flat(self) -> dict[str, Any]:
        """Every value by its dotted name, as `--set` has it."""
        tree = self.model_dump(mode="json", by_alias=True)
        sections = {name: part for name, part in tree.items() if isinstance(part, dict)}
        values = {f"{name}.{key}": value for name, part in sections.items() for key, value in part.items()}
        return {name: value for name, value in tree.items() if name not in sections} | values

    def to_yaml(self) -> str:
        """Every value, as YAML that `load` reads back to an equal `Config`."""
        return yaml.safe_dump(self.model_dump(mode="json", by_alias=True), sort_keys=False, default_flow_style=None)

    def display(self) -> None:
        """Print every value, in the manner of the Keras implementation."""
        print(self.to_yaml(), end="")
