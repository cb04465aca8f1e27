"""The weights file of clothseg: safetensors, with the configuration and the classes in its metadata."""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.files import atomic_file
from clothseg.instances import Calibration
from clothseg.weights.converted import ConvertedWeights
from clothseg.weights.files.tensor_file import TensorFile, read_tensor_file
from clothseg.weights.formats.native_metadata import (
    FORMAT_VERSION,
    is_native,
    parse_calibration,
    parse_metadata,
)

ORIGIN = "clothseg"
CHECKPOINT_KEYS = {"optimizer", "sampler", "rows"}


@dataclass(frozen=True)
class SavedNetwork:
    """The content of a weights file of clothseg: everything that `predict` needs.

    Attributes:
        tensors: the network's `state_dict`.
        config: all settings.
        classes: names of the classes 1..K.
        calibration: of the scores; None if they are as the network gives them.
    """

    tensors: dict[str, Tensor]
    config: Config
    classes: list[str]
    calibration: Calibration | None = None


def recognizes(file: TensorFile) -> bool:
    """Whether clothseg wrote the file."""
    return is_native(file.metadata)


def is_checkpoint(file: TensorFile) -> bool:
    """Whether the file is a training checkpoint of a run."""
    return file.non_tensors.keys() >= CHECKPOINT_KEYS


def convert(file: TensorFile) -> ConvertedWeights:
    """Takes all tensors, settings and classes from the file; nothing changes. A backbone alone has no classes.

    Raises:
        WeightsError: the metadata cannot be read.
    """
    config, classes = parse_metadata(file.path, file.metadata)
    converted = ConvertedWeights(ORIGIN, "weights file of clothseg", classes=classes or None)
    converted.settings = config.to_tree()
    converted.calibration = parse_calibration(file.path, file.metadata, len(classes))
    for key, tensor in file.tensors.items():
        converted.add(key, key, tensor)
    return converted


def write_network(
    path: Path,
    tensors: Mapping[str, Tensor],
    config: Config,
    classes: Sequence[str],
    calibration: Calibration | None = None,
    *,
    half: bool = False,
) -> None:
    """Writes a network's tensors, with `config`, the names `classes` of 1..K and `calibration` as metadata.

    With `half`, floats are written in 16 bits: half the size, and rounded to about three digits. Raises WeightsError if
    one is too large for them; OSError if the disk is full.
    """
    if half:
        tensors = {name: _halved(name, tensor) for name, tensor in tensors.items()}
    metadata = {"format": FORMAT_VERSION, "config": config.to_yaml(), "classes": json.dumps(list(classes))}
    if calibration is not None:
        metadata["calibration"] = calibration.to_json()
    with atomic_file(path) as temporary:
        try:
            save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, temporary, metadata)
        except SafetensorError as error:
            raise _system_error(error, path) from error


def _system_error(error: SafetensorError, path: Path) -> Exception:
    """The error of the system (a full disk, say) that safetensors has only as words; the error itself if it is none."""
    number = re.search(r"\(os error (\d+)\)", str(error))
    if number is None:
        return error
    code, windows = int(number[1]), sys.platform == "win32"
    return OSError(0, str(error), str(path), code) if windows else OSError(code, os.strerror(code), str(path))


def _halved(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    halved = tensor.half()
    if not bool(halved.isfinite().all()):
        raise WeightsError(f"{name}: a value above {torch.finfo(torch.float16).max:.0f} does not fit into 16 bits")
    return halved


def read_network(path: Path) -> SavedNetwork:
    """Reads a file of `write_network`.

    Raises:
        WeightsError: the file does not exist, or clothseg did not write it.
    """
    file = read_tensor_file(path)
    if not recognizes(file):
        raise WeightsError(
            f"{path}: a {file.container} file that clothseg did not write (no format in its metadata); "
            "`clothseg weights convert` makes one of a supported file"
        )
    config, classes = parse_metadata(file.path, file.metadata)
    return SavedNetwork(file.tensors, config, classes, parse_calibration(file.path, file.metadata, len(classes)))
