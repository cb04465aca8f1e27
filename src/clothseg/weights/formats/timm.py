"""Timm's weights of an ImageNet classifier, for a backbone `timm/NAME` or, where it is a ResNet, for ours."""

import json
from collections.abc import Collection
from typing import Any

from torch import Tensor

from clothseg.weights.converted import ConvertedWeights
from clothseg.weights.files.tensor_file import TensorFile

STEMS = ("conv_stem.weight", "stem.0.weight", "stem.conv.weight", "patch_embed.proj.weight", "conv1.0.weight")


def is_timm(names: dict[str, Tensor]) -> bool:
    """Whether these look like names of a convolutional classifier of timm's that is no plain ResNet."""
    return any(stem in names for stem in STEMS)


def read_timm(raw: TensorFile) -> ConvertedWeights:
    """A classifier's tensors as a backbone's; which model of timm's it is may stand in a `config.json` beside it."""
    name = model_name(raw)
    converted = ConvertedWeights("timm", f"timm's {name}" if name else "a model of timm's; the file does not say which")
    for key, tensor in raw.tensors.items():
        converted.add(key, f"backbone.model.{key}", tensor)
    converted.settings = {"network": {"conventions": "torchvision"}}
    if name:
        converted.settings["backbone"] = {"name": f"timm/{name}"}
    return converted


def for_extractor(converted: ConvertedWeights, wanted: Collection[str]) -> ConvertedWeights:
    """The reading with the names that timm gives the parts of a feature extractor, where `wanted` has them.

    An extractor keeps a classifier's names, but for a dot that becomes an underscore in some (`stages.0`, `stages_0`).
    """
    answer = ConvertedWeights(
        converted.origin, converted.layout, settings=converted.settings, unused=dict(converted.unused)
    )
    for key, name in converted.renamed.items():
        places = (name, f"backbone.model.{key}", f"backbone.model.{key.replace('.', '_', 1)}")
        place = next((place for place in places if place in wanted), name)
        answer.add(key, place, converted.tensors[name], converted.changed.get(key, ""))
    return answer


def model_name(raw: TensorFile) -> str | None:
    """The model's name as the hub's `config.json`, or the file's metadata, gives it."""
    facts: dict[str, Any] = dict(raw.facts)
    try:
        beside = json.loads((raw.path.parent / "config.json").read_text(encoding="utf-8"))
        if isinstance(beside, dict):
            facts = beside | facts
    except (OSError, ValueError):
        pass
    name = facts.get("architecture")
    return str(name) if name else None
