"""Masks as polygons, and as the single polygon that an object has in YOLO."""

from collections.abc import Sequence

import numpy as np

from clothseg.dataset.exporting.bridges import bridged
from clothseg.dataset.exporting.photos import Losses
from clothseg.instances import Rle, decode, from_polygons, to_polygons
from clothseg.instances.rle import BoolMask


def polygons_of(mask: Rle, tolerance: float, losses: Losses) -> list[list[float]]:
    """The outlines of a mask, `[x1, y1, x2, y2, ...]` each. Holes are joined to their outline by a cut without width.

    If the tolerance removes a small mask altogether, its exact outlines are used.
    """
    pixels = decode(mask)
    polygons = to_polygons(pixels, tolerance) or to_polygons(pixels)
    losses.counts["holes_as_cuts"] += has_holes(pixels)
    losses.counts["moved_outlines"] += from_polygons(polygons, *mask["size"])["counts"] != mask["counts"]
    return polygons


def has_holes(pixels: BoolMask) -> bool:
    """Whether background pixels of a mask `[H, W]` do not reach its border."""
    import cv2  # noqa: PLC0415 - a tenth of a second

    padded = np.pad(~pixels, 1, constant_values=True)
    count, _ = cv2.connectedComponents(padded.astype(np.uint8), connectivity=4)
    return bool(count > 2)  # the object is 0, and the background around it is 1


def joined(polygons: Sequence[Sequence[float]]) -> list[float]:
    """One polygon of several, which are joined by lines there and back, as short as possible.

    Drawn as COCO draws them, the line has no pixels, because what is crossed twice is not inside.
    """
    whole = bridged([np.array(polygon, dtype=np.float64).reshape(-1, 2) for polygon in polygons])
    return [float(value) for value in whole.ravel()]
