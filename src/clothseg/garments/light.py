"""Estimates the light of a photo, and adapts colours to another light."""

import cv2
import numpy as np
from numpy.typing import NDArray

from clothseg.photos import RgbImage

Light = tuple[float, float, float]
"""Red, green and blue of a light, linear, in 0..1."""

_NORM = 6
_STRONGEST = 2.0
"""The largest gain. The light is only an estimate and must not change a garment's colours completely."""


def light_of(photo: RgbImage) -> Light:
    """Estimates the light on a photo `[H, W, 3]`: red, green and blue, linear, in 0..1.

    Source: G. Finlayson, E. Trezzi: Shades of Gray and Colour Constancy (2004), with the 6-norm.
    """
    height, width = photo.shape[:2]
    scale = min(256 / max(height, width), 1.0)
    small = max(round(width * scale), 1), max(round(height * scale), 1)
    linear = to_linear(np.asarray(cv2.resize(photo, small, interpolation=cv2.INTER_AREA), dtype=np.uint8))
    red, green, blue = (float(v) for v in (linear.reshape(-1, 3) ** _NORM).mean(axis=0) ** (1 / _NORM))
    return red, green, blue


def gains(before: Light, after: Light) -> NDArray[np.float64]:
    """Factors `[3]` for linear colours, to change the light from `before` to `after`. At most 2, at least 1/2."""
    ratio = np.maximum(after, 1e-3) / np.maximum(before, 1e-3)
    return np.clip(ratio, 1 / _STRONGEST, _STRONGEST)


def relit(colours: RgbImage, factors: NDArray[np.float64]) -> RgbImage:
    """Multiplies the linear values of colours `[..., 3]` uint8 by `factors` `[3]`."""
    table = from_linear(_LINEAR[:, None] * factors)
    return np.stack([table[colours[..., channel], channel] for channel in range(3)], axis=-1)


def to_linear(colours: RgbImage) -> NDArray[np.float64]:
    """Converts sRGB values to linear light in 0..1. Source: IEC 61966-2-1."""
    return _LINEAR[colours]


def from_linear(linear: NDArray[np.float64]) -> RgbImage:
    """Converts linear light to sRGB values. Light is clipped to 0..1."""
    light = np.clip(linear, 0, 1)
    values = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(values * 255), dtype=np.uint8)


def _table() -> NDArray[np.float64]:
    values = np.arange(256) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


_LINEAR = _table()
