"""Pickle files of numpy arrays, read without running code from them.

A pickle is a program. This reader supports numpy arrays, their types and plain containers. It refuses every other
name in the file.
"""

import io
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clothseg.errors import WeightsError

PLAIN_KINDS = frozenset("fiubSU?")
"""Kinds of numpy types that contain plain values, not Python objects."""


def read_pickle(path: Path) -> dict[Any, Any]:
    """Reads the dictionary in a pickle file of Python 2 or 3.

    Raises:
        WeightsError: the file is cut or damaged, does not contain a dictionary, or needs more than arrays.
    """
    try:
        with path.open("rb") as stream:
            _require_small_memo(stream)
            stream.seek(0)
            content = _ArrayUnpickler(stream).load()
    except _RefusedError as error:
        raise WeightsError(
            f"{path}: this pickle needs {error}, which could run code; only numpy arrays and plain values are loaded"
        ) from error
    except Exception as error:  # pickle raises almost any type for a damaged file
        reason = str(error) or type(error).__name__
        raise WeightsError(f"{path}: cannot be read as a pickle ({reason}); is it cut short?") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: this pickle contains {type(content).__name__}, not a dict of arrays")
    return content


def _require_small_memo(stream: io.BufferedReader) -> None:
    """Refuses a number of the memo that no program writes: the unpickler would reserve memory up to it."""
    for number, (operation, argument, _) in enumerate(pickletools.genops(stream)):
        if operation.name in {"PUT", "BINPUT", "LONG_BINPUT"} and int(argument or 0) > number:
            raise ValueError(f"the memo has the number {argument}")


class _RefusedError(Exception):
    """The pickle needs a name or a value that a weights file does not need."""


def _plain_dtype(*arguments: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(*arguments[:1])
    if dtype.kind not in PLAIN_KINDS:
        raise _RefusedError(f"the numpy type {dtype}")
    return dtype


class _DtypePlaceholder:
    """Replaces `numpy.dtype`. A pickle calls it, then sets the byte order with `__setstate__`."""

    def __init__(self, *arguments: Any) -> None:
        self.value = _plain_dtype(*arguments)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order: Any = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if len(state) > 3 and any(part is not None for part in state[2:5]):
            raise _RefusedError("a numpy type with fields")
        self.value = self.value.newbyteorder(order) if order in "<>=" else self.value


class _ArrayPlaceholder:
    """Replaces a numpy array until the pickle sets its content with `__setstate__`."""

    def __init__(self, *_: Any) -> None:
        self.value: NDArray[Any] = np.zeros(0, dtype=np.float32)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, column_major, data = state
        if not isinstance(dtype, _DtypePlaceholder) or not isinstance(data, (bytes, bytearray, str)):
            raise _RefusedError("an array of objects")
        content = data.encode("latin1") if isinstance(data, str) else bytes(data)
        flat = np.frombuffer(content, dtype=dtype.value)
        self.value = flat.reshape(shape, order="F" if column_major else "C").copy()


def _scalar(dtype: Any, data: Any = b"") -> Any:
    if not isinstance(dtype, _DtypePlaceholder):
        raise _RefusedError("a numpy value without a type")
    content = data.encode("latin1") if isinstance(data, str) else bytes(data)
    return np.frombuffer(content, dtype=dtype.value)[0].item()


def _array_from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> _ArrayPlaceholder:
    array = _ArrayPlaceholder()
    array.__setstate__((1, shape, dtype, order == "F", bytes(data)))
    return array


def _encode_latin1(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in {"latin1", "latin-1", "iso-8859-1"}:
        raise _RefusedError(f"the codec {encoding}")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    """Python 3 writes empty bytes for Python 2 as a call without arguments."""
    return b""


ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _ArrayPlaceholder,
    ("numpy._core.multiarray", "_reconstruct"): _ArrayPlaceholder,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _array_from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _array_from_buffer,
    ("numpy", "ndarray"): _ArrayPlaceholder,
    ("numpy", "dtype"): _DtypePlaceholder,
    ("_codecs", "encode"): _encode_latin1,
    ("__builtin__", "bytes"): _empty_bytes,
    ("collections", "OrderedDict"): OrderedDict,
}
"""Every name that a pickle may use, and our replacement. Functions of numpy are never called."""


class _ArrayUnpickler(pickle.Unpickler):
    def __init__(self, stream: io.BufferedReader) -> None:
        super().__init__(stream, encoding="latin1")

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Our replacement for a name in the file."""
        try:
            return ALLOWED[module_name, global_name]
        except KeyError:
            raise _RefusedError(f"{module_name}.{global_name}") from None

    def load(self) -> Any:
        """The content, with arrays instead of placeholders."""
        return _replace_placeholders(super().load())


def _replace_placeholders(content: Any) -> Any:
    if isinstance(content, _ArrayPlaceholder):
        return content.value
    if isinstance(content, dict):
        return {key: _replace_placeholders(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return type(content)(_replace_placeholders(value) for value in content)
    return content
