"""Pickles are read without running code from them."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clothseg.errors import WeightsError
from clothseg.weights import read_weights
from clothseg.weights.files.pickled import read_pickle


class Touch:
    """Creates a file when Python unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_does_not_run_code(protocol: int, tmp_path: Path) -> None:
    created = tmp_path / "created"
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps({"model": {"res2.0.conv1.weight": Touch(created)}}, protocol=protocol))
    with pytest.raises(WeightsError, match="could run code"):
        read_weights(path)
    assert not created.exists()
    pickle.loads(path.read_bytes())
    assert created.exists()  # so the pickle above does run code if Python reads it


@pytest.mark.parametrize(
    "opcodes",
    [
        b"cbuiltins\neval\n(U\x011tR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cbuiltins\nlist\n(K\x00tU\x01btR(K\x01(K\x01tNNU\x00tb.",
        b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00bz2tR.",
        b"cnumpy\ndtype\n(U\x02O8K\x00K\x01tR.",
        b"cnumpy\nload\n(U\x01xtR.",
        b"\x8c\x08builtins\x8c\x04exec\x93(U\x011tR.",
    ],
)
def test_other_names_are_refused(opcodes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pkl"
    path.write_bytes(b"\x80\x04" + opcodes)
    with pytest.raises(WeightsError):
        read_pickle(path)


def test_arrays_of_all_protocols_are_read(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "f4": np.arange(6, dtype=np.float32).reshape(2, 3),
        "f2": np.arange(4, dtype=np.float16),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">f4"),
        "value": np.float32(1.5),
        "whole": np.array(7),
        "empty": np.zeros((0, 4), np.float32),
    }
    for protocol in (2, 3, 4, 5):
        path = tmp_path / f"{protocol}.pkl"
        path.write_bytes(pickle.dumps({"model": arrays, "__author__": "somebody"}, protocol=protocol))
        found = read_pickle(path)
        assert found["__author__"] == "somebody"
        for name, array in arrays.items():
            same = np.array_equal(np.asarray(found["model"][name]), np.asarray(array))
            assert same, (protocol, name)


def test_cut_files_and_other_objects_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "weights.pkl"
    content = pickle.dumps({"model": {"stem.conv1.weight": np.zeros((64, 3, 7, 7), np.float32)}}, protocol=2)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match=r"weights\.pkl: .* cut short"):
        read_pickle(path)
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(WeightsError, match=r"weights\.pkl: this pickle contains list, not a dict"):
        read_pickle(path)
