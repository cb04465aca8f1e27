"""Pictures as text, for pages in a single file."""

import base64
import io
import math

import numpy as np
from PIL import Image

from clothseg.photos import RgbImage

_LONGEST_SIDE = 8000
"""In pixels: two pictures side by side still fit into WebP, which holds 16,383."""


def shrink(picture: RgbImage, area: int, *, grow: bool = False) -> RgbImage:
    """Resizes `picture` `[H, W, 3]` to about `area` pixels. A smaller one stays as it is, unless `grow` is set.

    Of a picture so long that a side would have more than 8000 pixels, fewer remain.
    """
    scale = min(math.sqrt(area / (picture.shape[0] * picture.shape[1])), _LONGEST_SIDE / max(picture.shape[:2]))
    if scale >= 1 and not grow:
        return picture
    size = max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1)
    return np.array(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def webp_uri(picture: RgbImage, quality: int = 75) -> str:
    """Encodes `picture` `[H, W, 3]` as a data URI with a WebP image."""
    target = io.BytesIO()
    Image.fromarray(picture).save(target, format="WEBP", quality=quality, method=4)
    return f"data:image/webp;base64,{base64.b64encode(target.getvalue()).decode('ascii')}"
