"""Files of `torch.save`, read without running code from them."""

import re
from argparse import Namespace
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

import numpy as np
import torch
from torch.serialization import safe_globals

from clothseg.errors import WeightsError

ZIP_SIGNATURE = b"PK\x03\x04"
LEGACY_SIGNATURE = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first bytes of files of `torch.save` before version 1.6: a pickled number."""

_SCALAR = np.float64(0).__reduce__()[0]
NUMPY_SCALARS: list[Any] = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
]
"""What numpy needs for a number: it makes a value of one of these types from its bytes, and runs nothing."""


def is_pytorch(start: bytes) -> bool:
    """Whether a file with these first bytes comes from `torch.save`."""
    return start.startswith((ZIP_SIGNATURE, LEGACY_SIGNATURE))


def read_pytorch(path: Path) -> dict[str, Any]:
    """Reads the dictionary in a file of `torch.save`.

    Raises:
        WeightsError: the file is cut or damaged, or contains more than tensors and plain values.
    """
    try:
        with safe_globals([Namespace, *NUMPY_SCALARS]):  # torchvision's scripts store their arguments, VainF's a score
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for a damaged file
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if not refused and (damage := _describe_damage(path)):
            raise WeightsError(f"{path}: {damage}; download or copy it again") from error
        name = f" ({refused[1]})" if refused else ""
        raise WeightsError(
            f"{path}: contains more than tensors and plain values{name}; this is not loaded, because it could run "
            "code. Save only the state_dict with torch.save"
        ) from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: contains {type(content).__name__}, not a dict of tensors")
    return content


def _describe_damage(path: Path) -> str:
    """Describes how a file is damaged, or returns the empty string. Torch's own messages name its C++ parts."""
    with path.open("rb") as stream:
        if stream.read(len(LEGACY_SIGNATURE)) == LEGACY_SIGNATURE:
            return "a torch file in the old format that is cut short or damaged"
    try:
        if not is_zipfile(path):
            return "a torch file whose end is missing, so it was cut short"
        with ZipFile(path) as archive:
            damaged, names = archive.testzip(), archive.namelist()
    except Exception:  # zipfile raises many types for damaged archives
        return "a torch file that is damaged"
    if damaged:
        return f"a torch file whose part {damaged} is damaged"
    if not any(name.endswith("/data.pkl") for name in names):
        return "a zip file that torch.save did not write"
    return ""
