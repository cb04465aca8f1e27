"""Keras's HDF5 files of weights: a group a layer, whose attribute `weight_names` gives the arrays in order."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from clothseg.errors import WeightsError


def read_hdf5(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays by `layer/number/name`: the layer that owns them, their place in its order, and their name in the file.

    Of a layer that holds others (the region proposals' model) the inner layer's name is taken.

    Raises:
        WeightsError: cut, damaged, or not written by Keras's `save_weights`.
    """
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            if "layer_names" not in root.attrs:
                inside = ", ".join(sorted(root)[:5]) or "nothing"
                raise WeightsError(
                    f"{path}: an HDF5 file, but not weights as Keras 2 writes them (no layer_names; it holds {inside})"
                )
            found: dict[str, NDArray[Any]] = {}
            for layer in _words(root.attrs["layer_names"]):
                found |= _layer(root[layer], layer)
            return found
    except (OSError, KeyError, ValueError, RuntimeError, AttributeError) as error:
        raise WeightsError(f"{path}: cannot be read as HDF5 weights ({error}); is it cut short?") from error


def _layer(group: Any, layer: str) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    counts: dict[str, int] = {}
    for name in _words(group.attrs.get("weight_names", [])):
        owner = name.split("/")[0] if "/" in name else layer
        number = counts[owner] = counts.get(owner, -1) + 1
        found[f"{owner}/{number}/{name.rsplit('/', 1)[-1]}"] = np.asarray(group[name])
    return found


def _words(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
