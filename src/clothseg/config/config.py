"""`Config`: all sections together, from YAML and to YAML."""

import textwrap
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError, model_validator

from clothseg.config.augment import AugmentSettings, Strength
from clothseg.config.deeplab import DeepLabSettings
from clothseg.config.mask_rcnn import MaskRCNNSettings
from clothseg.config.parsing import describe_errors, override, read_settings
from clothseg.config.renamed import replace_old_keys
from clothseg.config.section import TRAINABLE, Section
from clothseg.config.shared import BackboneSettings, InferenceSettings, InputSettings, NetworkSettings
from clothseg.config.teacher import BoxLabelSettings, UnlabelledSettings
from clothseg.config.train import HEADLINE_METRICS, StageSettings, TrainSettings
from clothseg.config.yolact import YolactSettings
from clothseg.counting import counted
from clothseg.errors import ConfigError

NETWORK_SETTINGS: dict[str, type[NetworkSettings]] = {
    "mask_rcnn": MaskRCNNSettings,
    "yolact": YolactSettings,
    "deeplab": DeepLabSettings,
}
"""The section of each network by its name: the tag of the discriminated union `Config.network`."""


def _by_name(value: Any) -> Any:
    """The section of the network that `name` says; Mask R-CNN where it is not given."""
    if not isinstance(value, dict):
        return value
    name = value.get("name", "mask_rcnn")
    if not isinstance(name, str) or name not in NETWORK_SETTINGS:
        raise ValueError(f"name is {name!r}, but must be one of {', '.join(NETWORK_SETTINGS)}")
    return NETWORK_SETTINGS[name].model_validate(value)


AnyNetworkSettings = Annotated[SerializeAsAny[NetworkSettings], BeforeValidator(_by_name)]


class Config(Section):
    """All settings of a network and its training. Immutable: `changed` makes another one."""

    weights: str = "random"
    """Initial weights: `random`, `imagenet-efficientnet-lite0` or `-lite2`, `garments`, a published name, a run, a file
    or `auto`: `garments` if it knows one of the classes by name, else the backbone's installed ImageNet weights."""
    input: InputSettings = Field(default_factory=InputSettings)
    backbone: BackboneSettings = Field(default_factory=BackboneSettings)
    network: AnyNetworkSettings = Field(default_factory=MaskRCNNSettings)
    inference: InferenceSettings = Field(default_factory=InferenceSettings)
    augment: AugmentSettings = Field(default_factory=AugmentSettings)
    train: TrainSettings = Field(default_factory=TrainSettings)
    unlabelled: UnlabelledSettings = Field(default_factory=UnlabelledSettings)
    box_labels: BoxLabelSettings = Field(default_factory=BoxLabelSettings)

    @model_validator(mode="after")
    def _monitor_is_known(self) -> Self:
        known = ["last", "val_total", *(f"val_{name}" for name in self.network.weight_by_loss), *HEADLINE_METRICS]
        if self.train.monitor not in known:
            raise ValueError(f"train.monitor is {self.train.monitor!r}, but must be one of {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _masks_need_a_teacher(self) -> Self:
        if self.box_labels.pseudo_masks and not self.train.ema_decay:
            raise ValueError(
                "box_labels.pseudo_masks: the masks are drawn by the average of the weights; set train.ema_decay too, "
                "such as 0.99"
            )
        return self

    @classmethod
    def for_network(cls, name: str | None = None) -> "Config":
        """The default settings of a network, with an input that suits it; of Mask R-CNN without a name."""
        known = NETWORK_SETTINGS[name].suits if name else {}
        return cls.model_validate(({"network": {"name": name}} if name else {}) | known)

    @classmethod
    def load(cls, source: str | Path, overrides: Sequence[str] = ()) -> "Config":
        """Reads a YAML file, or a preset by its name, and applies `overrides` such as `train.epochs=3`.

        Raises:
            ConfigError: with every problem of file and overrides, not just the first.
        """
        tree, name = read_settings(source)
        return cls.from_tree(tree, overrides, name)

    @classmethod
    def load_saved(cls, path: Path | str, overrides: Sequence[str] = ()) -> "Config":
        """Reads the configuration that an earlier training wrote; keys of earlier versions get the names of today.

        Raises:
            ConfigError: with every problem of file and overrides, not just the first.
        """
        tree, name = read_settings(Path(path))
        replace_old_keys(tree)
        return cls.from_tree(tree, overrides, name)

    @classmethod
    def from_tree(cls, tree: dict[str, Any], overrides: Sequence[str], name: str) -> "Config":
        """Validates sections and values with `overrides` applied; `name` names their source in messages.

        Raises:
            ConfigError: with every problem, not just the first.
        """
        tree = deepcopy(tree)
        problems = [problem for text in overrides if (problem := override(tree, text))]
        problems += replace_old_keys(tree)
        try:
            config = cls.model_validate(tree)
        except ValidationError as error:
            problems += describe_errors(error, cls, _section_of(tree))
        if problems:
            count = counted(len(problems), "problem")
            what = f"{name}, with the changed settings: {count}" if overrides else f"{name} has {count}"
            raise ConfigError(f"{what}:\n" + "\n".join(f"  {p}" for p in problems))
        return config

    def changed(self, section: str, **values: Any) -> "Config":
        """The same configuration with other `values` in one of its sections; they are not validated."""
        part = getattr(self, section).model_copy(update=values)
        return self.model_copy(update={section: part})

    def extended(self, epochs: int, ended: int | None = None) -> "Config":
        """The same training with more epochs, as a stage of their own that trains what the last one did.

        Args:
            epochs: how many more.
            ended: the epoch after which it ended, where that was earlier than planned.
        """
        train = self.train
        end = ended or train.epochs
        word = next(word for word, frozen in TRAINABLE.items() if frozen == self.backbone.frozen_stages)
        stages = train.stages or (StageSettings.model_validate({"trainable": word, "end_epoch": train.epochs}),)
        first = [stage for stage in stages if stage.end_epoch < end]
        last = stages[len(first)].model_copy(update={"end_epoch": end})
        more = last.model_copy(update={"end_epoch": end + epochs})
        return self.changed("train", epochs=end + epochs, stages=(*first, last, more))

    def __repr__(self) -> str:
        """For example `Config(mask_rcnn, timm/efficientnet_lite0, input fit 256 x 384, 12 epochs, weights random)`."""
        size = self.input
        sides = {
            "fit": f"{size.width} x {size.height}",
            "stretch": f"{size.width} x {size.height}",
            "square": f"{size.max_side}",
            "keep_ratio": f"{size.min_side} to {size.max_side}",
            "none": f"up to {size.max_side}",
        }[size.resize]
        return (
            f"Config({self.network.name}, {self.backbone.name}, input {size.resize} {sides}, "
            f"{self.train.epochs} epochs, weights {self.weights}; display() prints all)"
        )

    __str__ = __repr__

    def flat(self) -> dict[str, Any]:
        """Every value by its dotted name, as `--set` has it."""
        return dict(_flat(self, ""))

    def to_tree(self) -> dict[str, Any]:
        """Every value in sections of plain values, of which `from_tree` makes an equal `Config`."""
        return self.model_dump(mode="json", by_alias=True)

    def to_yaml(self) -> str:
        """Every value, as YAML that `load` reads back to an equal `Config`."""
        return yaml.safe_dump(self.to_tree(), sort_keys=False, default_flow_style=None)

    def explained(self) -> str:
        """Every value as YAML, each with its meaning as a comment above it."""
        return "\n".join(_explained(self, "")).strip() + "\n"

    def display(self) -> None:
        """Prints every value, like `display()` of the Keras implementation."""
        print(self.to_yaml(), end="")


def _section_of(tree: dict[str, Any]) -> type[Section]:
    network = tree.get("network")
    return NETWORK_SETTINGS.get(str(network.get("name")) if isinstance(network, dict) else "", MaskRCNNSettings)


def _is_leaf(value: Any) -> bool:
    return not isinstance(value, Section) or isinstance(value, Strength)


def _flat(section: Section, path: str) -> Iterator[tuple[str, Any]]:
    tree = section.model_dump(mode="json", by_alias=True)
    for name, field in type(section).model_fields.items():
        key, value = field.alias or name, getattr(section, name)
        if _is_leaf(value):
            yield path + key, tree[key]
        else:
            yield from _flat(value, f"{path}{key}.")


def _explained(section: Section, indent: str) -> Iterator[str]:
    tree = section.model_dump(mode="json", by_alias=True)
    for name, field in type(section).model_fields.items():
        key, value = field.alias or name, getattr(section, name)
        meaning = " ".join((field.description or type(value).__doc__ or "").split())
        if _is_leaf(value):
            yield from textwrap.wrap(meaning, 118, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
            text = yaml.safe_dump([tree[key]], default_flow_style=True, width=10_000).strip()
            yield f"{indent}{key}: {text[1:-1]}"
        else:
            yield from ("", f"{indent}# {meaning}", f"{indent}{key}:", *_explained(value, indent + "  "))
