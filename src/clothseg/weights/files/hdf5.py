"""HDF5 weights files of Keras 2: one group per layer; its attribute `weight_names` lists the arrays in order."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clothseg.errors import WeightsError


def read_hdf5(path: Path) -> dict[str, NDArray[Any]]:
    """Reads arrays by `layer/number/name`: their layer, their position in the layer, and their name in the file.

    For a layer that contains other layers (the region proposal model), `layer` is the inner layer.

    Raises:
        WeightsError: the file is cut or damaged, or was not written by Keras's `save_weights`.
    """
    import h5py  # noqa: PLC0415 - most weights files are not of this kind

    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            if "layer_names" not in root.attrs:
                names = ", ".join(sorted(root)[:5]) or "nothing"
                raise WeightsError(
                    f"{path}: an HDF5 file, but not a weights file of Keras 2 (no layer_names; it contains {names})"
                )
            arrays: dict[str, NDArray[Any]] = {}
            for layer in _strings(root.attrs["layer_names"]):
                arrays |= _read_layer(root[layer], layer)
            return arrays
    except (OSError, KeyError, ValueError, RuntimeError, AttributeError) as error:
        raise WeightsError(f"{path}: cannot be read as HDF5 weights ({error}); is it cut short?") from error


def _read_layer(group: Any, layer: str) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    last_numbers: dict[str, int] = {}
    for name in _strings(group.attrs.get("weight_names", [])):
        owner = name.split("/")[0] if "/" in name else layer
        number = last_numbers[owner] = last_numbers.get(owner, -1) + 1
        arrays[f"{owner}/{number}/{name.rsplit('/', 1)[-1]}"] = np.asarray(group[name])
    return arrays


def _strings(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
