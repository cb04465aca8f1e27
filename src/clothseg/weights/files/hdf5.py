"""HDF5 weights files of Keras 2: one group per layer; its attribute `weight_names` lists the arrays in order."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from clothseg.errors import WeightsError

_PROGRAM = Path(__file__).with_name("hdf5_child.py")
_REFUSED = 3  # its exit code for a file that it refuses; other codes are crashes
_SECONDS = 60
_BYTES_PER_SECOND = 10_000_000  # of a slow disk


def read_hdf5(path: Path) -> dict[str, NDArray[Any]]:
    """Reads arrays by `layer/number/name`: their layer, their position in the layer, and their name in the file.

    For a layer that contains other layers (the region proposal model), `layer` is the inner layer. A process of its own
    reads the file, with limits of time and memory: damaged files can crash the HDF5 library or make it hang.

    Raises:
        WeightsError: the file is cut or damaged, or was not written by Keras's `save_weights`.
    """
    from safetensors.numpy import load_file  # noqa: PLC0415 - most weights files are not of this kind

    seconds = _SECONDS + path.stat().st_size // _BYTES_PER_SECOND
    with tempfile.TemporaryDirectory(prefix="clothseg-", ignore_cleanup_errors=True) as folder:
        out = Path(folder) / "arrays.safetensors"
        words = [sys.executable, "-P", str(_PROGRAM), str(path), str(out)]
        try:
            answer = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=seconds, encoding="utf-8"
            )
        except subprocess.TimeoutExpired as error:
            raise WeightsError(f"{path}: the HDF5 library hangs on this file; it is damaged, copy it again") from error
        if answer.returncode == _REFUSED:
            raise WeightsError(f"{path}: {answer.stderr.strip().splitlines()[-1]}")
        if answer.returncode:
            raise WeightsError(f"{path}: the HDF5 library crashes on this file; it is damaged, copy it again")
        return dict(load_file(out))
