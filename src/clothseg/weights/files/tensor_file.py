"""Any weights file as tensors by the file's own names; what kind of file it is, its first bytes say, not its suffix."""

import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.serialization import safe_globals

from clothseg.errors import WeightsError
from clothseg.weights.files.hdf5 import read_hdf5
from clothseg.weights.files.pickled import read_pickle

LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How files of torch.save before version 1.6 begin: a pickled number."""

WRAPPERS = ("model", "state_dict", "model_state_dict", "model_state", "module", "blobs", "ema")
"""Keys under which training programs put the tensors beside other things."""


@dataclass(frozen=True)
class TensorFile:
    """What is in a file.

    Attributes:
        path: the file.
        kind: `safetensors`, `torch`, `pickle` or `hdf5`.
        tensors: by the file's names, as float32 where they are floating-point numbers.
        others: what is in it besides: names and a word on each.
        facts: small values beside the tensors: metadata, `__author__`.
        cast: names of tensors that were stored in another precision, and which.
    """

    path: Path
    kind: str
    tensors: dict[str, Tensor]
    others: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    cast: dict[str, str] = field(default_factory=dict)


def read_tensor_file(path: Path) -> TensorFile:
    """Read a weights file without running anything that is in it.

    Raises:
        WeightsError: no such file; empty, cut or damaged; of a kind that is not known; without tensors.
    """
    if path.is_dir():
        raise WeightsError(f"{path}: this is a folder; give the weights file in it")
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    with path.open("rb") as file:
        begin = file.read(64)
    if not begin:
        raise WeightsError(f"{path}: the file is empty (0 bytes); fetch or copy it again")
    facts: dict[str, Any] = {}
    if begin.startswith(b"\x89HDF\r\n\x1a\n"):
        kind, content = "hdf5", dict(read_hdf5(path))
    elif begin.startswith(b"PK\x03\x04") or begin.startswith(LEGACY_TORCH):
        kind, content = "torch", _read_torch(path)
    elif begin.startswith(b"\x80") and not _is_safetensors(begin, path):
        kind, content = "pickle", read_pickle(path)
    elif begin[8:9] == b"{":
        kind = "safetensors"
        content, facts = _read_safetensors(path)
    else:
        raise WeightsError(
            f"{path}: not a weights file of a known kind (torch, pickle, HDF5, safetensors); it begins with "
            f"{begin[:16]!r}" + ("; this is a web page, was the download refused?" if b"<" in begin[:2] else "")
        )
    return _sorted_out(path, kind, content, facts)


def _is_safetensors(begin: bytes, path: Path) -> bool:
    """Whether the first 8 bytes are the length of a header: they may look like a pickle's."""
    return begin[8:9] == b"{" and int.from_bytes(begin[:8], "little") <= path.stat().st_size


def _read_torch(path: Path) -> dict[str, Any]:
    try:
        with safe_globals([Namespace]):  # torchvision's training scripts keep their arguments beside the weights
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        asked = re.search(r"GLOBAL (\S+)", str(error))
        if not asked and (fault := _fault(path)):
            raise WeightsError(f"{path}: {fault}; fetch or copy it again") from error
        name = f" ({asked[1]})" if asked else ""
        raise WeightsError(
            f"{path}: holds more than tensors and plain values{name}, and what would run code is not opened; save its "
            "state_dict alone with torch.save"
        ) from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: holds {type(content).__name__}, not a dict of tensors")
    return content


def _fault(path: Path) -> str:
    """How a torch file that cannot be read is broken; empty if it is whole. Torch's own words name its C++ parts."""
    with path.open("rb") as file:
        if file.read(len(LEGACY_TORCH)) == LEGACY_TORCH:
            return "a torch file of the old kind that is cut short or damaged"
    if not is_zipfile(path):
        return "a torch file whose end is missing, so it was cut short"
    try:
        with ZipFile(path) as archive:
            damaged, names = archive.testzip(), archive.namelist()
    except (BadZipFile, OSError, NotImplementedError, RuntimeError):
        return "a torch file that is damaged"
    if damaged:
        return f"a torch file whose part {damaged} is damaged"
    if not any(name.endswith("/data.pkl") for name in names):
        return "a zip file, but not one that torch.save wrote"
    return ""


def _read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be read as safetensors ({error}); is it cut short?") from error


def _sorted_out(path: Path, kind: str, content: Mapping[Any, Any], facts: dict[str, Any]) -> TensorFile:
    raw = TensorFile(path, kind, {}, {}, facts)
    while True:
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        for name, value in content.items():
            if value is inner and inner is not None:
                continue
            _add(raw, str(name), value)
        if inner is None:
            break
        content = inner
    if not raw.tensors:
        held = f" but {', '.join(list(raw.others)[:4])}" if raw.others else ""
        raise WeightsError(f"{path}: a {kind} file that holds no tensor by its name{held}, so it is no weights file")
    return raw


def _add(raw: TensorFile, name: str, value: object) -> None:
    name = name.removeprefix("module.")
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        value = torch.from_numpy(value.astype(value.dtype.newbyteorder("="), copy=not value.flags.writeable))
    if isinstance(value, Tensor):
        if value.is_floating_point() and value.dtype != torch.float32:
            raw.cast[name] = str(value.dtype).removeprefix("torch.")
            value = value.float()
        raw.tensors[name] = value
    else:
        raw.others[name] = f"{type(value).__name__}, not a tensor"
        if isinstance(value, (str, int, float, bool)):
            raw.facts[name] = value
