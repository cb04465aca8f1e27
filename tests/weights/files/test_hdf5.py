"""HDF5 files of Keras: the layer and the position of every array."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from clothseg.errors import WeightsError
from clothseg.weights.files.hdf5 import read_hdf5


def test_arrays_get_the_name_of_their_layer_and_their_position(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv1", b"relu", b"model"]
        file.create_group("conv1").attrs["weight_names"] = [b"conv1/kernel:0", b"conv1/bias:0"]
        file["conv1"]["conv1/kernel:0"] = np.full((2, 3), 1.0)
        file["conv1"]["conv1/bias:0"] = np.full(3, 2.0)
        file.create_group("relu")
        file.create_group("model").attrs["weight_names"] = [b"inner/kernel:0", b"plain:0"]
        file["model"]["inner/kernel:0"] = np.full(1, 3.0)
        file["model"]["plain:0"] = np.full(1, 4.0)
    arrays = read_hdf5(path)
    assert {name: array.flat[0] for name, array in arrays.items()} == {
        "conv1/0/kernel:0": 1,
        "conv1/1/bias:0": 2,
        "inner/0/kernel:0": 3,
        "model/0/plain:0": 4,
    }
    assert arrays["conv1/0/kernel:0"].shape == (2, 3)


def test_a_temporary_file_that_cannot_be_removed_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows another program, such as a virus scanner, may have it open."""
    path = tmp_path / "net.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv"]
        group = file.create_group("conv")
        group.attrs["weight_names"] = [b"conv/kernel:0"]
        group["conv/kernel:0"] = np.ones((2, 3), np.float32)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "the file is in use")

    with monkeypatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path))
        patch.setattr(os, "unlink", refuse)
        (array,) = read_hdf5(path).values()
    assert np.array_equal(array, np.ones((2, 3)))


def test_other_and_cut_files_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("measurements", data=np.zeros(5))
    with pytest.raises(WeightsError, match=r"weights\.h5: .*no layer_names; it contains measurements"):
        read_hdf5(path)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv1"]
        file.create_dataset("conv1/kernel:0", data=np.zeros((300, 300)))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(WeightsError, match=r"weights\.h5: .* cut short"):
        read_hdf5(path)
