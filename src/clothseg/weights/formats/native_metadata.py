"""The metadata of a weights file of clothseg: its configuration, its classes and the calibration of
its scores, which can be read without PyTorch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from clothseg.config import Config
from clothseg.config.renamed import replace_old_keys
from clothseg.config.yaml_text import parse_yaml
from clothseg.errors import ConfigError, WeightsError
from clothseg.instances import Calibration

FORMAT_VERSION = "clothseg-1"


def read_metadata(path: Path) -> tuple[Config, list[str]] | None:
    """The configuration and the classes 1..K of a file; None if clothseg did not write it, or if it is damaged.

    Raises:
        WeightsError: clothseg wrote it, but the metadata cannot be read.
    """
    try:
        with safe_open(path, framework="np") as file:
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError):
        return None
    if not is_native(metadata):
        return None
    config, classes = parse_metadata(path, metadata)
    parse_calibration(path, metadata, len(classes))  # refused now, before PyTorch is imported
    return config, classes


def is_native(metadata: Mapping[str, Any]) -> bool:
    """Whether clothseg wrote the file with this metadata."""
    return metadata.get("format") == FORMAT_VERSION


def parse_metadata(path: Path, metadata: Mapping[str, Any]) -> tuple[Config, list[str]]:
    """The configuration and the classes 1..K in the metadata of the file `path`.

    Raises:
        WeightsError: they are missing or invalid.
    """
    try:
        tree = parse_yaml(metadata["config"], "config")
        if isinstance(tree, dict):
            replace_old_keys(tree)
        config = Config.model_validate(tree)
        return config, [str(name) for name in json.loads(metadata["classes"])]
    except (KeyError, ValueError, TypeError, ValidationError, RecursionError, ConfigError) as error:
        raise WeightsError(
            f"{path}: its metadata cannot be read ({error}); did another version of clothseg write it?"
        ) from error


def parse_calibration(path: Path, metadata: Mapping[str, Any], classes: int) -> Calibration | None:
    """The calibration in the metadata of the file `path` with this number of classes; None if it has none.

    Raises:
        WeightsError: it is invalid.
    """
    if "calibration" not in metadata:
        return None
    try:
        return Calibration.from_json(metadata["calibration"], classes)
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise WeightsError(
            f"{path}: the calibration in its metadata cannot be read ({error}); did another version of clothseg write "
            "it? `clothseg evaluate RUN DATA --calibrate` writes it again"
        ) from error
