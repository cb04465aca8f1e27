"""Moves a coarse edge by GrabCut, within a band along it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from clothseg.garments.parts import drop_small_parts
from clothseg.photos import RgbImage

Plane = NDArray[np.float32]

_ITERATIONS = 3
_SPECK = 0.01
"""GrabCut leaves specks in the band; those below this part of the mask's area are dropped."""


def cut_grabcut(colours: RgbImage, certainty: Plane, band: float) -> NDArray[np.bool_]:
    """The garment within `band` pixels along the edge of `certainty`: `[h, w]` bool.

    Args:
        colours: `[h, w, 3]` uint8 RGB, a crop around the garment.
        certainty: `[h, w]` float32 in 0..1, that a pixel belongs to the garment.
        band: in pixels.

    Source: C. Rother, V. Kolmogorov, A. Blake: GrabCut (2004), by OpenCV.
    """
    labels = _labels(certainty, band)
    if len(np.unique(labels)) < 4:
        return certainty > 0.5
    cv2.setRNGSeed(0)  # GrabCut starts from random clusters
    whole = (0, 0, labels.shape[1], labels.shape[0])  # ignored, because the labels mark the pixels
    cv2.grabCut(colours, labels, whole, np.zeros((1, 65)), np.zeros((1, 65)), _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return drop_small_parts(np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)), _SPECK)


def _labels(values: Plane, band: float) -> NDArray[np.uint8]:
    """GrabCut's labels: certain for pixels more than `band` inside or outside the edge, uncertain between.

    In a thin garment the band is narrower, so that some certain pixels remain from which GrabCut learns the colours.
    """
    inside = (values > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(np.pad(inside, 1, mode="edge"), cv2.DIST_L2, 5)[1:-1, 1:-1]
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    near = min(max(band, 2.0), 0.8 * float(depth.max()))
    unsure = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    sure = np.where(depth > near, cv2.GC_FGD, cv2.GC_BGD)
    return np.where((depth > near) | (away > near), sure, unsure).astype(np.uint8)
