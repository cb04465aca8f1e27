"""Which way up a photo stands, and how large it is, so that it and its masks never disagree.

A photo file can be turned in two ways: by the EXIF mark in it, and by the `Rotation` of the image list, which says how
far photo and boxes are to be turned together. Neither tells which pixels the masks were drawn on: most copies of Open
Images carry no EXIF mark, originals do. The masks' own shape tells: they are drawn on the whole photo, at some scale.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from clothseg.photos import RgbImage, exif_orientation, read_photo

Size = tuple[int, int]

_QUALITY = 95
# Degrees counter-clockwise that the EXIF mark asks for; the mirrored ones (2, 4, 5, 7) no camera makes.
_EXIF_DEGREES = {3: 180, 6: 270, 8: 90}
# Rounding to whole pixels moves a side by one; beyond that a scale may differ a little between the axes.
_SLACK = 0.03


@dataclass(frozen=True)
class OrientedPhoto:
    """A photo as it goes into the data set.

    Attributes:
        pixels: `[H, W, 3]`, upright and at its final size.
        drawn_on: height and width of what the masks were drawn on, before resizing and turning.
        quarter_turns: how often masks and boxes are to be turned by 90 degrees counter-clockwise.
        changed: what was done to the photo: `turned`, `resized`, both or nothing.
    """

    pixels: RgbImage
    drawn_on: Size
    quarter_turns: int
    changed: tuple[str, ...]

    def jpeg(self) -> bytes | None:
        """The new file, or None where the photo's own bytes are right."""
        if not self.changed:
            return None
        stream = io.BytesIO()
        Image.fromarray(self.pixels).save(stream, "JPEG", quality=_QUALITY)
        return stream.getvalue()


def orient_photo(
    path: Path, mask_sizes: Sequence[Size], rotation: int | None, *, upright: bool, max_size: int | None
) -> OrientedPhoto:
    """Find the way up that fits the masks; then turn it upright by `rotation` if asked, and make it smaller.

    Args:
        path: the photo.
        mask_sizes: height and width of its masks.
        rotation: of the image list.
        upright: turn photo and masks together by `rotation`. Without it they stay as Open Images has them.
        max_size: pixels of the longer side, at most.

    Raises:
        PhotoError: the photo cannot be read.
    """
    ways = _ways(path, rotation)
    pixels, turned, as_listed = max(ways, key=lambda way: sum(fits(size, way[0].shape[:2]) for size in mask_sizes))
    drawn_on = (pixels.shape[0], pixels.shape[1])
    quarter_turns = (rotation or 0) // 90 if upright and as_listed else 0
    changed = ["turned"] if turned or quarter_turns else []
    pixels = np.rot90(pixels, quarter_turns)
    smaller = _limited((pixels.shape[0], pixels.shape[1]), max_size)
    if smaller != pixels.shape[:2]:
        changed.append("resized")
        pixels = np.asarray(
            Image.fromarray(pixels).resize((smaller[1], smaller[0]), Image.Resampling.LANCZOS), dtype=np.uint8
        )
    return OrientedPhoto(np.ascontiguousarray(pixels), drawn_on, quarter_turns, tuple(changed))


def _ways(path: Path, rotation: int | None) -> list[tuple[RgbImage, bool, bool]]:
    """Ways up, the likeliest first: pixels, whether that differs from the file, whether `rotation` is still to do."""
    upright = read_photo(path)
    mark = exif_orientation(path)
    if mark == 1:
        ways = [(upright, False, True)]
        stored = upright
    else:
        stored = read_photo(path, upright=False)
        ways = [(upright, True, False), (stored, True, True)]
        # The list asks for the same turn as the mark: so its boxes lie on the photo as it is stored.
        if rotation and _EXIF_DEGREES.get(mark) == rotation:
            ways.reverse()
    if rotation in {90, 270}:
        ways.append((np.rot90(stored, rotation // 90), True, False))
    return ways


def fits(mask: Size, photo: Size) -> bool:
    """Whether a mask of this size can have been drawn on a photo of that size: the same shape but for rounding."""
    scale = max(mask) / max(photo)
    return all(abs(m - scale * p) <= 1 + _SLACK * m for m, p in zip(mask, photo, strict=True))


def _limited(size: Size, longest: int | None) -> Size:
    if longest is None or max(size) <= longest:
        return size
    scale = longest / max(size)
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def turn_box(box: tuple[float, float, float, float], quarter_turns: int) -> tuple[float, float, float, float]:
    """A box x1 y1 x2 y2 in 0..1 on a photo that is turned by 90 degrees counter-clockwise so often."""
    for _ in range(quarter_turns % 4):
        x1, y1, x2, y2 = box
        box = (y1, 1 - x2, y2, 1 - x1)
    return box
