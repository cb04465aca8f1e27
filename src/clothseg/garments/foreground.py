"""Removes the background's colour from the soft edge of a garment."""

import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from clothseg.cores import one_numba_thread
from clothseg.errors import ClothsegError
from clothseg.garments.large import LARGE_CROP, enlarge_rows, strips
from clothseg.optional import is_installed
from clothseg.photos import RgbImage

Plane = NDArray[np.float32]

_FOREGROUND = "pymatting.foreground.estimate_foreground_ml"
_SURE = 0.95
"""Without PyMatting, pixels surely belong to the garment from this alpha on, and to the background up to the rest."""


def own_colours(photo: RgbImage, alpha: Plane) -> RgbImage:
    """The garment's own colours `[h, w, 3]` in the crop `photo`, without the background that shines through.

    `alpha` is `[h, w]` in 0..1. For a crop of more than 4 million pixels, the colours of garment and background are
    estimated on a smaller copy. On the crop, each soft pixel gets the share of the garment's colour that explains what
    the photo shows there, so time and memory stay bounded and details stay sharp. Without PyMatting,
    `nearest_foreground` estimates them.

    Sources: T. Germer and others: Fast Multi-Level Foreground Estimation (2020), by PyMatting. M. Forte: Approximate
    Fast Foreground Colour Estimation (2021), for large crops.
    """
    if alpha.size == 1:  # PyMatting divides by the logarithm of the longer side
        return np.array(photo)
    if alpha.size > LARGE_CROP:
        return _large_own_colours(photo, alpha)
    with one_numba_thread():
        colours = load_foreground()(photo.astype(np.float32) / np.float32(255), alpha.astype(np.float32))
    return _to_bytes(colours)


def _large_own_colours(photo: RgbImage, alpha: Plane) -> RgbImage:
    """`own_colours` from layers that are estimated on a smaller copy of the crop."""
    height, width = alpha.shape
    scale = (LARGE_CROP / alpha.size) ** 0.5
    size = max(int(width * scale), 1), max(int(height * scale), 1)
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
    small_alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    with one_numba_thread():
        garment, background = load_foreground()(small, small_alpha, return_background=True)
    colours = np.array(photo)
    for rows in strips(height, width):
        share = alpha[rows]
        soft = (share > 0) & (share < 1)
        if not soft.any():
            continue
        near = enlarge_rows(garment, rows, (height, width))[soft]
        far = enlarge_rows(background, rows, (height, width))[soft]
        seen, share = photo[rows][soft].astype(np.float32) / np.float32(255), share[soft][:, None]
        colours[rows][soft] = _to_bytes(_explained(seen, share, near, far))
    return colours


def _explained(seen: Plane, share: Plane, near: Plane, far: Plane) -> Plane:
    """The garment's colours that explain what is seen, from estimates of garment and background."""
    return np.asarray(near + share * (seen - share * near - (1 - share) * far), dtype=np.float32)


def nearest_foreground(photo: Plane, alpha: Plane, *, return_background: bool = False) -> Any:
    """The same as PyMatting's `estimate_foreground_ml`, in a simpler way.

    Garment and background have the colour of the nearest pixel that surely belongs to them; what the photo shows then
    corrects the garment's colour, as for large crops.
    """
    near = _nearest(photo, alpha >= min(_SURE, float(alpha.max())))
    far = _nearest(photo, alpha <= max(1 - _SURE, float(alpha.min())))
    garment = np.clip(_explained(photo, alpha[..., None], near, far), 0, 1)
    return (garment, far) if return_background else garment


def _nearest(photo: Plane, known: NDArray[np.bool_]) -> Plane:
    """The photo with the colour of the nearest known pixel everywhere."""
    unknown = (~known).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(unknown, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    places = np.zeros(int(labels.max()) + 1, dtype=np.intp)
    places[labels[known]] = np.flatnonzero(known)
    return np.asarray(photo.reshape(-1, 3)[places[labels]])


def _to_bytes(colours: Plane) -> RgbImage:
    return np.asarray(np.rint(np.clip(colours, 0, 1) * 255), dtype=np.uint8)


@cache
def load_foreground() -> Callable[..., Any]:
    """PyMatting's `estimate_foreground_ml`: colours `[h, w, 3]` from a crop `[h, w, 3]` in 0..1 and its alpha.

    Without PyMatting it is `nearest_foreground`.

    The first call on a machine compiles it, for some seconds; Numba keeps the result beside PyMatting's file, or in the
    user's cache folder. Only this one file is imported: PyMatting as a whole compiles ten times as much that is not
    used here.

    Raises:
        ClothsegError: this version of PyMatting has no such file.
    """
    if not is_installed("pymatting"):
        return nearest_foreground
    if _FOREGROUND not in sys.modules:
        package = find_spec("pymatting")
        folders = (package.submodule_search_locations if package else None) or []
        files = [Path(folder, "foreground", "estimate_foreground_ml.py") for folder in folders]
        spec = spec_from_file_location(_FOREGROUND, files[0]) if files and files[0].is_file() else None
        if spec is None or spec.loader is None:
            raise ClothsegError("cut-outs need PyMatting; install a version that pyproject.toml of clothseg allows")
        module = sys.modules[_FOREGROUND] = module_from_spec(spec)  # Numba's files refer to the module by its full name
        try:
            with one_numba_thread():  # which also decides how Numba starts
                spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[_FOREGROUND]
            raise
    function: Callable[..., Any] = sys.modules[_FOREGROUND].estimate_foreground_ml
    return function
