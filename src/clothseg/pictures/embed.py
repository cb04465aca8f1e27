"""Pictures as text, for pages in a single file."""

import base64
import io
import math

import numpy as np
from PIL import Image

from clothseg.photos import RgbImage


def shrink(picture: RgbImage, area: int, *, grow: bool = False) -> RgbImage:
    """Resizes `picture` `[H, W, 3]` to about `area` pixels. A smaller one stays as it is, unless `grow` is set."""
    scale = math.sqrt(area / (picture.shape[0] * picture.shape[1]))
    if scale >= 1 and not grow:
        return picture
    size = max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1)
    return np.array(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def webp_uri(picture: RgbImage, quality: int = 75) -> str:
    """Encodes `picture` `[H, W, 3]` as a data URI with a WebP image."""
    target = io.BytesIO()
    Image.fromarray(picture).save(target, format="WEBP", quality=quality, method=4)
    return f"data:image/webp;base64,{base64.b64encode(target.getvalue()).decode('ascii')}"
