"""Any weights file as tensors under the file's names. The first bytes show the container, not the suffix."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from clothseg.errors import WeightsError
from clothseg.suggestions import near_path
from clothseg.weights.files.hdf5 import read_hdf5
from clothseg.weights.files.pickled import read_pickle
from clothseg.weights.files.pytorch import is_pytorch, read_pytorch

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
PICKLE_SIGNATURE = b"\x80"

WRAPPERS = ("model", "state_dict", "model_state_dict", "model_state", "module", "blobs", "ema")
"""Keys under which training programs store the tensors, next to other values."""


@dataclass(frozen=True)
class TensorFile:
    """The content of a weights file.

    Attributes:
        path: the file.
        container: `safetensors`, `torch`, `pickle` or `hdf5`.
        tensors: by the file's names. Floating-point tensors are float32.
        non_tensors: all other entries by name, each with a short description.
        metadata: small values next to the tensors: safetensors metadata, `__author__`.
        stored_dtypes: the type in the file of each tensor that was converted to float32, such as `float16`.
    """

    path: Path
    container: str
    tensors: dict[str, Tensor]
    non_tensors: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    stored_dtypes: dict[str, str] = field(default_factory=dict)


def read_tensor_file(path: Path) -> TensorFile:
    """Reads a weights file without running code from it.

    Raises:
        WeightsError: the file does not exist, is empty, cut or damaged, has an unknown container, or has no tensors.
    """
    if os.path.isdir(path):
        raise WeightsError(f"{path}: this is a folder; give the weights file in it")
    if not os.path.isfile(path):
        raise WeightsError(f"{path}: no such weights file{near_path(path)}")
    with path.open("rb") as stream:
        start = stream.read(64)
    if not start:
        raise WeightsError(f"{path}: the file is empty (0 bytes); download or copy it again")
    metadata: dict[str, Any] = {}
    if start.startswith(HDF5_SIGNATURE):
        container, content = "hdf5", dict(read_hdf5(path))
    elif is_pytorch(start):
        container, content = "torch", read_pytorch(path)
    elif start.startswith(PICKLE_SIGNATURE) and not _has_safetensors_header(start, path):
        container, content = "pickle", read_pickle(path)
    elif start[8:9] == b"{":
        container = "safetensors"
        content, metadata = _read_safetensors(path)
    elif path.suffix.lower() == ".onnx":
        raise WeightsError(
            f"{path}: an exported network (ONNX), which predict, cutout and serve take; here name the run that it is of"
        )
    else:
        raise WeightsError(
            f"{path}: not a weights file of a known type (torch, pickle, HDF5, safetensors); it starts with "
            f"{start[:16]!r}" + ("; this is a web page: did the download fail?" if b"<" in start[:2] else "")
        )
    return _collect_tensors(path, container, content, metadata)


def _has_safetensors_header(start: bytes, path: Path) -> bool:
    """Whether the first 8 bytes are the length of a safetensors header; the first of them can be a pickle's."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= path.stat().st_size


def _read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
            if sys.platform == "win32":  # the tensors map the file, and Windows does not replace a mapped file
                tensors = {name: tensor.clone() for name, tensor in tensors.items()}
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be read as safetensors ({error}); is it cut short?") from error


def _collect_tensors(path: Path, container: str, content: Mapping[Any, Any], metadata: dict[str, Any]) -> TensorFile:
    """Collects the tensors of `content` and of the dictionaries that wrap them."""
    file = TensorFile(path, container, {}, {}, metadata)
    while True:
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        for name, value in content.items():
            if inner is None or value is not inner:
                _add(file, str(name), value)
        if inner is None:
            break
        content = inner
    if not file.tensors:
        found = f"; it has only {', '.join(list(file.non_tensors)[:4])}" if file.non_tensors else ""
        raise WeightsError(f"{path}: a {container} file without named tensors, so it is not a weights file{found}")
    return file


def _add(file: TensorFile, name: str, value: object) -> None:
    name = name.removeprefix("module.")  # DataParallel adds it
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        value = torch.from_numpy(value.astype(value.dtype.newbyteorder("="), copy=not value.flags.writeable))
    if isinstance(value, Tensor):
        if value.is_floating_point() and value.dtype != torch.float32:
            file.stored_dtypes[name] = str(value.dtype).removeprefix("torch.")
            value = value.float()
        file.tensors[name] = value
    else:
        file.non_tensors[name] = f"{type(value).__name__}, not a tensor"
        if isinstance(value, (str, int, float, bool)):
            file.metadata[name] = value
