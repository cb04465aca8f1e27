"""Our own weights file: safetensors, with the configuration and the classes in its metadata."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.files import whole_file


@dataclass(frozen=True)
class SavedNetwork:
    """A network as read from its file: all that `predict` needs."""

    tensors: dict[str, Tensor]
    config: Config
    classes: list[str]


def write_network(path: Path, tensors: Mapping[str, Tensor], config: Config, classes: Sequence[str]) -> None:
    """Write the network alone; `classes` are the names of 1..K."""
    metadata = {"format": "clothseg-1", "config": config.to_yaml(), "classes": json.dumps(list(classes))}
    with whole_file(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata)


def read_network(path: Path) -> SavedNetwork:
    """Read what `write_network` wrote.

    Raises:
        WeightsError: no such file, or not one of ours.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: cannot be read as safetensors ({error}); copy it again") from error
    if metadata.get("format") != "clothseg-1":
        raise WeightsError(f"{path}: a safetensors file, but not one that clothseg wrote (no format in its metadata)")
    config = Config.model_validate(yaml.safe_load(metadata["config"]))
    return SavedNetwork(tensors, config, json.loads(metadata["classes"]))
