"""Photos as values: converts the common forms of a photo in Python to one array, or explains why it cannot."""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clothseg.errors import PhotoError, UnreadPhotosError
from clothseg.photos import RgbImage, decode_picture, formats_that_are_read, photo_errors, read_photo

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import TypeIs

    Photo = str | Path | bytes | Image.Image | NDArray[Any] | Tensor
    Photos = Iterable[Photo]
T = TypeVar("T")
_CHANNELS = (1, 3, 4)


def as_photo(photo: "Photo") -> RgbImage:
    """A photo as RGB.

    Args:
        photo: a path, the bytes of a file, a Pillow image, an array `[H, W]` or `[H, W, 1 | 3 | 4]`, or a tensor
            `[1 | 3 | 4, H, W]` or `[H, W]` (RGB, grey or RGBA). Values are uint8, or uint16 in 0..65535, or floats in
            0..1 or, if one exceeds 1, in 0..255. Transparent pixels are put on white.

    Returns:
        `[H, W, 3]` uint8.

    Raises:
        PhotoError: it cannot be read, or it is something else; the message says what to give instead.
    """
    if isinstance(photo, str | Path):
        return read_photo(photo)
    if isinstance(photo, bytes | bytearray | memoryview):
        return _from_bytes(bytes(photo))
    if isinstance(photo, Image.Image):
        with photo_errors("the image"):
            return decode_picture(photo, upright=True)
    if isinstance(photo, np.ndarray):
        return _from_array(photo, "an array [H, W, 3]", channels=-1)
    if hasattr(photo, "detach") and hasattr(photo, "cpu"):
        return _from_tensor(photo)
    raise PhotoError(
        f"{type(photo).__name__} is no photo; give a path, the bytes of a file, a Pillow image, an array [H, W, 3], a "
        "tensor [3, H, W], or a list of these"
    )


def is_list(photo: "Photo | Photos") -> "TypeIs[Photos]":
    """Whether it is a list of photos, or anything else that gives one photo after another, such as `Path.glob`."""
    one = isinstance(photo, str | bytes | bytearray | memoryview | np.ndarray | Mapping) or hasattr(photo, "detach")
    return isinstance(photo, Iterable) and not one


def for_each_photo(photos: "Photos", work: "Callable[[Photo], T]") -> list[T]:
    """What `work` returns for each of several photos, in their order.

    Raises:
        UnreadPhotosError: `work` raised a `PhotoError` for some of them; its `results` are the list, with None in place
            of each. A message begins with the photo's position in the list.
    """
    results: list[T | None] = []
    unread = []
    for position, photo in enumerate(photos):
        try:
            results.append(work(photo))
        except PhotoError as error:
            results.append(None)
            unread.append(f"[{position}] {error}")
    if unread:
        raise UnreadPhotosError(unread, len(results), results)
    return cast("list[T]", results)


def _from_bytes(content: bytes) -> RgbImage:
    if not content:
        raise PhotoError("the bytes of the photo are empty")
    with (
        photo_errors(f"{len(content)} bytes", content),
        Image.open(io.BytesIO(content), formats=formats_that_are_read()) as picture,
    ):
        return decode_picture(picture, upright=True)


def _from_tensor(tensor: "Tensor") -> RgbImage:
    if tensor.ndim == 4:
        raise PhotoError(f"a tensor {list(tensor.shape)} is a batch; give a list of photos: list(tensor)")
    values = tensor.detach().cpu()
    values = values.float() if str(values.dtype) == "torch.bfloat16" else values  # NumPy has no bfloat16
    return _from_array(np.asarray(values), "a tensor [3, H, W]", channels=0)


def _from_array(values: NDArray[Any], expected: str, *, channels: int) -> RgbImage:
    shape = list(values.shape)
    if values.ndim == 2:
        values = values[..., None]
    elif values.ndim == 3 and channels == 0:
        values = np.moveaxis(values, 0, -1)
    if values.ndim != 3 or values.shape[-1] not in _CHANNELS or values.size == 0:
        raise PhotoError(
            f"the shape {shape} is not that of a photo; expected {expected}{_other_order(shape, channels)}"
        )
    bytes_ = _as_bytes(values)
    if bytes_.shape[-1] == 4:
        with photo_errors("the array"):
            return decode_picture(Image.fromarray(bytes_, "RGBA"), upright=False)
    colours = bytes_ if bytes_.shape[-1] == 3 else np.repeat(bytes_, 3, axis=-1)
    return np.require(colours, requirements=["C_CONTIGUOUS", "WRITEABLE"])  # a copy only where it is needed


def _other_order(shape: Sequence[int], channels: int) -> str:
    """A hint if the channels are at the other end."""
    if len(shape) != 3 or shape[-1 - channels] not in _CHANNELS:
        return ""
    return "; the channels come first: array.transpose(1, 2, 0)" if channels else "; tensor.permute(2, 0, 1)"


def _as_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.uint16:
        return np.rint(values / 257).astype(np.uint8)
    if values.dtype.kind not in "fiu":
        raise PhotoError(f"values of the type {values.dtype} are no photo; expected uint8, or floats in 0..1")
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):  # also if one is NaN
        raise PhotoError(
            f"values from {low:g} to {high:g} are no photo; expected uint8, or floats in 0..1. Do not normalise: the "
            "network does it"
        )
    scale = 255 if values.dtype.kind == "f" and high <= 1 else 1
    return np.rint(values.astype(np.float64) * scale).astype(np.uint8)
