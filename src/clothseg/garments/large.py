"""Crops too large to compute on as a whole: their rows are done strip by strip, so that memory stays bounded."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

LARGE_CROP = 2**22
"""Crops with more pixels are large."""
_STRIP = 2**20
"""Pixels of a strip."""


def strips(height: int, width: int) -> Iterator[slice]:
    """The rows of a large crop in strips from the top."""
    rows = max(_STRIP // width, 1)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def enlarge_rows(values: Plane, rows: slice, size: tuple[int, int]) -> Plane:
    """Some rows `[n, w, ...]` of `values` `[h, w, ...]` when it is enlarged to `size` (height, width), bilinearly."""
    height, width = size
    places = np.clip((np.arange(rows.start, rows.stop) + 0.5) * len(values) / height - 0.5, 0, len(values) - 1)
    above = np.floor(places).astype(np.intp)
    first, last = int(above[0]), min(int(above[-1]) + 1, len(values) - 1)
    part = np.ascontiguousarray(values[first : last + 1])
    wide = np.asarray(cv2.resize(part, (width, len(part)), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    weight = (places - above).astype(np.float32).reshape(-1, *(1,) * (values.ndim - 1))
    upper, lower = wide[above - first], wide[np.minimum(above + 1, last) - first]
    return np.asarray(upper + (lower - upper) * weight, dtype=np.float32)
