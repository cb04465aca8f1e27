"""The rotation and size of a photo, so that it fits its masks.

Two things can rotate a photo: the EXIF tag in its file, and the `Rotation` of the image list, which is the turn for
photo and boxes together. Neither says which pixels the masks were drawn on: most copies of Open Images have no EXIF
tag, but originals have one. The shape of the masks decides: they cover the whole photo, at some scale.
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
# Degrees counter-clockwise for each EXIF tag. No camera writes the mirrored ones (2, 4, 5, 7).
_EXIF_DEGREES = {3: 180, 6: 270, 8: 90}
# Rounding to whole pixels changes a side by one; besides, the scale can differ a little between the axes.
_TOLERANCE = 0.03


@dataclass(frozen=True)
class OrientedPhoto:
    """A photo as it is in the dataset.

    Attributes:
        pixels: `[H, W, 3]` uint8, RGB, turned and at its final size.
        drawn_on: height and width of the photo on which the masks were drawn, before turning and resizing.
        quarter_turns: number of turns by 90 degrees counter-clockwise for masks and boxes.
        changed: what was done to the photo: `turned`, `resized`, both or nothing.
    """

    pixels: RgbImage
    drawn_on: Size
    quarter_turns: int
    changed: tuple[str, ...]

    def jpeg(self) -> bytes | None:
        """The bytes of the new file; None if the photo was not changed."""
        if not self.changed:
            return None
        stream = io.BytesIO()
        Image.fromarray(self.pixels).save(stream, "JPEG", quality=_QUALITY)
        return stream.getvalue()


def orient_photo(
    path: Path, mask_sizes: Sequence[Size], rotation: int | None, *, upright: bool, max_size: int | None
) -> OrientedPhoto:
    """Finds the rotation that fits the masks. Then turns the photo upright, if requested, and makes it smaller.

    Args:
        path: the photo.
        mask_sizes: height and width of its masks.
        rotation: of the image list, in degrees counter-clockwise; None if it is unknown.
        upright: turn photo and masks together by `rotation`. Otherwise they stay as in Open Images.
        max_size: the maximum for the longer side, in pixels; None for no limit.

    Raises:
        PhotoError: the photo cannot be read.
    """
    candidates = _candidates(path, rotation)
    pixels, turned, as_listed = max(candidates, key=lambda c: sum(fits(size, c[0].shape[:2]) for size in mask_sizes))
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


def _candidates(path: Path, rotation: int | None) -> list[tuple[RgbImage, bool, bool]]:
    """The possible rotations, the likeliest first: pixels, whether they differ from the file, whether `rotation` is
    still to be done."""
    upright = read_photo(path)
    tag = exif_orientation(path)
    if tag == 1:
        candidates = [(upright, False, True)]
        stored = upright
    else:
        stored = read_photo(path, upright=False)
        candidates = [(upright, True, False), (stored, True, True)]
        # The list has the same turn as the tag, so its boxes are on the photo as it is stored.
        if rotation and _EXIF_DEGREES.get(tag) == rotation:
            candidates.reverse()
    if rotation in {90, 270}:
        candidates.append((np.rot90(stored, rotation // 90), True, False))
    return candidates


def fits(mask: Size, photo: Size) -> bool:
    """Whether a mask of this height and width can belong to a photo of that size: same shape except for rounding."""
    scale = max(mask) / max(photo)
    return all(abs(m - scale * p) <= 1 + _TOLERANCE * m for m, p in zip(mask, photo, strict=True))


def _limited(size: Size, longest: int | None) -> Size:
    if longest is None or max(size) <= longest:
        return size
    scale = longest / max(size)
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def turn_box(box: tuple[float, float, float, float], quarter_turns: int) -> tuple[float, float, float, float]:
    """The box x1 y1 x2 y2 in 0..1 after turns by 90 degrees counter-clockwise."""
    for _ in range(quarter_turns % 4):
        x1, y1, x2, y2 = box
        box = (y1, 1 - x2, y2, 1 - x1)
    return box
