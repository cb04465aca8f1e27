"""Small pictures for the cards."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clothseg.files import atomic_file

FOLDER = "gallery"
"""In the folder of the page."""
_LONG_SIDE = 400  # pixels; a card is 200 to 300 wide, and screens have one to three pixels for each


def thumbnail_name(stem: str, *, transparent: bool = False) -> str:
    """The path of a thumbnail in the page's folder; `stem` is a part of a file name."""
    return f"{FOLDER}/{stem}.{'webp' if transparent else 'jpg'}"


def write_thumbnail(picture: NDArray[np.uint8], path: Path) -> None:
    """Writes a small copy of `picture` `[H, W, 3]` as JPEG, or of one with transparency `[H, W, 4]` as WebP."""
    height, width = picture.shape[:2]
    scale = min(_LONG_SIDE / max(height, width), 1)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = Image.fromarray(picture)
    if scale < 1:
        small = small.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        if picture.shape[2] == 4:
            small.save(temporary, format="WEBP", quality=75, method=2)
        else:
            small.save(temporary, format="JPEG", quality=78)
