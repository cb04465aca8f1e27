"""ImageNet classifiers of timm, for a backbone `timm/NAME`. ResNets are in `resnet.py`.

Source: the model files of timm on the Hugging Face Hub.
"""

from collections.abc import Collection
from typing import Any

from clothseg.files import read_json
from clothseg.weights.converted import ConvertedWeights
from clothseg.weights.files.tensor_file import TensorFile

STEMS = ("conv_stem.weight", "stem.0.weight", "stem.conv.weight", "patch_embed.proj.weight", "conv1.0.weight")
"""Names of the first layer in timm's families of networks."""


def recognizes(file: TensorFile) -> bool:
    """Whether the file has the first layer of a classifier of timm."""
    return any(stem in file.tensors for stem in STEMS)


def convert(file: TensorFile) -> ConvertedWeights:
    """Converts a classifier to a backbone. A `config.json` next to the file can contain the model's name."""
    name = _model_name(file)
    layout = f"classifier {name} of timm" if name else "classifier of timm; the file does not contain its name"
    converted = ConvertedWeights("timm", layout)
    for key, tensor in file.tensors.items():
        converted.add(key, f"backbone.model.{key}", tensor)
    converted.settings = {"network": {"conventions": "torchvision"}}
    if name:
        converted.settings["backbone"] = {"name": f"timm/{name}"}
    return converted


def rename_for_extractor(converted: ConvertedWeights, network_names: Collection[str]) -> ConvertedWeights:
    """Renames a classifier's tensors to the names of timm's feature extractor, where `network_names` has them.

    An extractor keeps the names of its classifier, but in some the first dot is an underscore (`stages.0`, `stages_0`).
    """
    renamed = ConvertedWeights(
        converted.origin, converted.layout, settings=converted.settings, unused=dict(converted.unused)
    )
    for key, name in converted.renamed.items():
        candidates = (name, f"backbone.model.{key}", f"backbone.model.{key.replace('.', '_', 1)}")
        new_name = next((candidate for candidate in candidates if candidate in network_names), name)
        renamed.add(key, new_name, converted.tensors[name], converted.changed.get(key, ""))
    return renamed


def _model_name(file: TensorFile) -> str | None:
    """The model's name in the file's metadata, or else in the Hub's `config.json` next to the file."""
    facts: dict[str, Any] = dict(file.metadata)
    try:
        config = read_json(file.path.parent / "config.json")
        if isinstance(config, dict):
            facts = config | facts
    except (OSError, ValueError):
        pass
    name = facts.get("architecture")
    return str(name) if name else None
