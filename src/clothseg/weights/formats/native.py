"""Our own weights file: safetensors, with the configuration and the classes in its metadata."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.files import atomic_file
from clothseg.weights.files.tensor_file import read_tensor_file

FORMAT = "clothseg-1"


@dataclass(frozen=True)
class SavedNetwork:
    """A network as read from its file: all that `predict` needs."""

    tensors: dict[str, Tensor]
    config: Config
    classes: list[str]


def write_network(path: Path, tensors: Mapping[str, Tensor], config: Config, classes: Sequence[str]) -> None:
    """Write the network alone; `classes` are the names of 1..K."""
    metadata = {"format": FORMAT, "config": config.to_yaml(), "classes": json.dumps(list(classes))}
    with atomic_file(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata)


def read_network(path: Path) -> SavedNetwork:
    """Read what `write_network` wrote.

    Raises:
        WeightsError: no such file, or not one of ours.
    """
    raw = read_tensor_file(path)
    if raw.facts.get("format") != FORMAT:
        raise WeightsError(f"{path}: a {raw.kind} file, but not one that clothseg wrote (no format in its metadata)")
    config, classes = parse_metadata(path, raw.facts)
    return SavedNetwork(raw.tensors, config, classes)


def parse_metadata(path: Path, metadata: Mapping[str, Any]) -> tuple[Config, list[str]]:
    """Configuration and classes from the metadata of our own file.

    Raises:
        WeightsError: they are missing, or of another version.
    """
    try:
        config = Config.model_validate(yaml.safe_load(metadata["config"]))
        classes = [str(name) for name in json.loads(metadata["classes"])]
    except (KeyError, ValueError, ValidationError, yaml.YAMLError) as error:
        raise WeightsError(
            f"{path}: its metadata cannot be read ({error}); was it written by another version of clothseg?"
        ) from error
    return config, classes
