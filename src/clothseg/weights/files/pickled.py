"""Pickle files of numpy arrays, read without running what they say.

A pickle is a program. This reader knows numpy arrays, their types and plain containers, and refuses every other name.
"""

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clothseg.errors import WeightsError

KINDS = frozenset("fiubSU?")
"""Kinds of numpy types that hold plain values; objects are not among them."""


def read_pickle(path: Path) -> dict[Any, Any]:
    """The dict in a pickle file, of Python 2 or 3.

    Raises:
        WeightsError: it is cut or damaged, holds something else than a dict, or asks for anything but arrays.
    """
    try:
        with path.open("rb") as file:
            content = _Reader(file).load()
    except _RefusedError as error:
        raise WeightsError(
            f"{path}: this pickle asks for {error}, which could run code; only numpy arrays and plain values are opened"
        ) from error
    except Exception as error:  # pickle raises nearly anything for a damaged file
        reason = str(error) or type(error).__name__
        raise WeightsError(f"{path}: cannot be read as a pickle ({reason}); is it cut short?") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: this pickle holds {type(content).__name__}, not a dict of arrays")
    return content


class _RefusedError(Exception):
    """A name that a weights file has no need of."""


def _plain_type(*arguments: Any) -> np.dtype[Any]:
    made: np.dtype[Any] = np.dtype(*arguments[:1])
    if made.kind not in KINDS:
        raise _RefusedError(f"numpy type {made}")
    return made


class _Type:
    """Stands for `numpy.dtype` in a pickle: made by a call, then given its byte order by `__setstate__`."""

    def __init__(self, *arguments: Any) -> None:
        self.value = _plain_type(*arguments)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order: Any = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if len(state) > 3 and any(part is not None for part in state[2:5]):
            raise _RefusedError("a numpy type with fields")
        self.value = self.value.newbyteorder(order) if order in "<>=" else self.value


class _Array:
    """Stands for a numpy array in a pickle until its bytes are there."""

    def __init__(self, *_: Any) -> None:
        self.value: NDArray[Any] = np.zeros(0, dtype=np.float32)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, columns_first, data = state
        if not isinstance(kind, _Type) or not isinstance(data, (bytes, bytearray, str)):
            raise _RefusedError("an array of objects")
        raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
        self.value = np.frombuffer(raw, dtype=kind.value).reshape(shape, order="F" if columns_first else "C").copy()


def _scalar(kind: Any, data: Any = b"") -> Any:
    if not isinstance(kind, _Type):
        raise _RefusedError("a numpy value without type")
    raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
    return np.frombuffer(raw, dtype=kind.value)[0].item()


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> _Array:
    answer = _Array()
    answer.__setstate__((1, shape, kind, order == "F", bytes(data)))
    return answer


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in {"latin1", "latin-1", "iso-8859-1"}:
        raise _RefusedError(f"the codec {encoding}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Python 3 writes empty bytes for Python 2 as a call without arguments."""
    return b""


KNOWN: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _latin1,
    ("__builtin__", "bytes"): _no_bytes,
    ("collections", "OrderedDict"): OrderedDict,
}
"""Every name that a pickle may ask for, and what it gets: our own stand-ins, never numpy's functions."""


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BufferedReader) -> None:
        super().__init__(file, encoding="latin1")

    def find_class(self, module_name: str, global_name: str) -> Any:
        """What stands for a name in the file."""
        try:
            return KNOWN[module_name, global_name]
        except KeyError:
            raise _RefusedError(f"{module_name}.{global_name}") from None

    def load(self) -> Any:
        """The content, with arrays in place of their stand-ins."""
        return _unwrapped(super().load())


def _unwrapped(content: Any) -> Any:
    if isinstance(content, _Array):
        return content.value
    if isinstance(content, dict):
        return {key: _unwrapped(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return type(content)(_unwrapped(value) for value in content)
    return content
