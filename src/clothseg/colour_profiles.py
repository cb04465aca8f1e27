"""Colours of photos with an ICC profile, such as Display P3 of phones or Adobe RGB of cameras, become those of sRGB."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_MODES = frozenset({"RGB", "RGBA", "CMYK"})
"""Pillow's modes that are converted. `photos.py` has made one of them of all others."""
_LARGEST = 4 << 20  # bytes; those of printers have up to about two million
_SAME = 2  # levels of 256 by which a profile may differ from sRGB before it counts as another one


def as_srgb(picture: Image.Image) -> Image.Image:
    """The picture with the colours of sRGB.

    Without a profile, with that of sRGB, or with one that is broken, it is the picture as it is: the same pixels.

    Source: ICC.1:2022, the profile's colours by its own rendering intent, as browsers show them.
    """
    profile = picture.info.get("icc_profile")
    if not isinstance(profile, bytes) or not 0 < len(profile) <= _LARGEST or picture.mode not in _MODES:
        return picture
    transform = _to_srgb(profile, picture.mode)
    if transform is None:
        return picture
    changed = transform.apply(picture)
    if picture.mode == "RGBA":
        changed.putalpha(picture.getchannel("A"))
    return changed


@lru_cache(maxsize=8)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """What converts a picture of this mode, or None if there is nothing to convert, or the profile cannot be read."""
    output = "RGBA" if mode == "RGBA" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        intent = ImageCms.Intent(ImageCms.getDefaultIntent(source))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, output, intent)
        if mode != "CMYK":
            levels = np.linspace(0, 255, 5).astype(np.uint8)
            grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(25, 5, 3)
            colours = Image.fromarray(grid).convert(mode)
            change = np.asarray(transform.apply(colours).convert("RGB")).astype(int) - grid
            return transform if np.abs(change).max() > _SAME else None
    except (ImageCms.PyCMSError, ImportError, OSError, TypeError, ValueError):  # a Pillow may be built without it
        return None
    return transform
