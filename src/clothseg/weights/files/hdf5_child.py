"""Reads an HDF5 weights file in a process of its own: `hdf5_child.py FILE OUT`. `hdf5.py` starts it.

The HDF5 library can hang, crash, or ask for any amount of memory when a file is damaged. So this program knows nothing
of the rest of the package, and limits itself. It writes the arrays as safetensors to OUT. An error is one line on
stderr, with the exit code 3.
"""

import contextlib
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import save_file

_REFUSED = 3  # also in `hdf5.py`
_MOST_LARGER = 20  # times the size of the file: weights are hardly compressible


def read(path: str, most_bytes: int) -> dict[str, Any]:
    """The arrays of a file by `layer/number/name`; see `hdf5.read_hdf5`."""
    with h5py.File(path, "r") as file:
        root = file.get("model_weights", file)
        if "layer_names" not in root.attrs:
            names = ", ".join(sorted(root)[:5]) or "nothing"
            raise NotKerasError(
                f"an HDF5 file, but not a weights file of Keras 2 (no layer_names; it contains {names})"
            )
        arrays: dict[str, Any] = {}
        size = 0
        for layer in _strings(root.attrs["layer_names"]):
            last_numbers: dict[str, int] = {}
            for name in _strings(root[layer].attrs.get("weight_names", [])):
                data = root[layer][name]
                size += data.size * data.dtype.itemsize
                if size > most_bytes:
                    raise ValueError("its arrays are far larger than the file")
                owner = name.split("/")[0] if "/" in name else layer
                number = last_numbers[owner] = last_numbers.get(owner, -1) + 1
                array = np.asarray(data)
                arrays[f"{owner}/{number}/{name.rsplit('/', 1)[-1]}"] = array.astype(array.dtype.newbyteorder("="))
        return arrays


class NotKerasError(Exception):
    """The file is HDF5, but of another program."""


def _strings(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _limit_memory(more_bytes: int) -> None:
    if sys.platform == "win32":  # the limit of time remains
        return
    import resource  # noqa: PLC0415 - Windows has none

    now = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more_bytes, now + more_bytes))


def main(path: str, out: str) -> int:
    """Reads `path` and writes `out`; returns the exit code."""
    most_bytes = max(64 << 20, _MOST_LARGER * Path(path).stat().st_size)
    with contextlib.suppress(OSError):  # a system without /proc: the limit of time remains
        _limit_memory(2 * most_bytes + (512 << 20))
    try:
        save_file(read(path, most_bytes), out)
    except NotKerasError as error:
        print(error, file=sys.stderr)
        return _REFUSED
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        print(f"cannot be read as HDF5 weights ({reason[:300]}); is it cut short?", file=sys.stderr)
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
