"""One garment out of a photo: its pixels, how much of each belongs to it, and where it was."""

from dataclasses import dataclass

import numpy as np

from clothseg.garments.light import Light, light_of
from clothseg.garments.matting import own_colours, refine, soft_mask
from clothseg.instances import Instances
from clothseg.photos import RgbImage

_VISIBLE = 2
"""Alpha, of 255, below which nobody sees a pixel: it is cut to 0, so that trimming finds the garment."""


@dataclass(frozen=True)
class Cutout:
    """A garment with a soft edge.

    Attributes:
        picture: `[h, w, 4]` uint8 RGBA, colours not multiplied by alpha, trimmed to what is visible.
        left: where its left column was on the photo.
        top: where its first row was.
        size: height and width of the photo.
        class_name: what it is; empty where nobody knows.
        score: how sure the network is of that, in 0..1.
        light: of the photo; None where it is not known.
    """

    picture: RgbImage
    left: int = 0
    top: int = 0
    size: tuple[int, int] = (0, 0)
    class_name: str = ""
    score: float = 1.0
    light: Light | None = None

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x1 y1 x2 y2 in pixels of the photo."""
        height, width = self.picture.shape[:2]
        return self.left, self.top, self.left + width, self.top + height

    def full_frame(self) -> RgbImage:
        """`[H, W, 4]` uint8: the garment at its place on a transparent picture of the photo's size."""
        frame = np.zeros((*self.size, 4), dtype=np.uint8)
        height, width = self.picture.shape[:2]
        frame[self.top : self.top + height, self.left : self.left + width] = self.picture
        return frame


def cut_out(photo: RgbImage, found: Instances, position: int, class_name: str = "") -> Cutout | None:
    """The instance at `position`, its edge refined to the photo's; None where nothing of it is visible.

    Args:
        photo: `[H, W, 3]` uint8 RGB.
        found: instances on this photo.
        position: which of them.
        class_name: what it is.

    Raises:
        ValueError: the instances are of a photo of another size.
    """
    if photo.shape[:2] != found.size:
        raise ValueError(f"instances of a photo {found.size} (height, width) on one of {photo.shape[:2]}")
    soft = soft_mask(found.masks, position)
    if soft is None:
        return None
    alpha = refine(photo, soft)
    opaque = np.rint(alpha * 255).astype(np.uint8)
    opaque[opaque < _VISIBLE] = 0
    ys, xs = np.flatnonzero(opaque.any(axis=1)), np.flatnonzero(opaque.any(axis=0))
    if not len(ys):
        return None
    colours = own_colours(photo[soft.rows, soft.columns], alpha)
    colours[opaque == 255] = photo[soft.rows, soft.columns][opaque == 255]
    colours[opaque == 0] = 0
    part = np.s_[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    return Cutout(
        np.dstack([colours, opaque])[part],
        soft.columns.start + int(xs[0]),
        soft.rows.start + int(ys[0]),
        found.size,
        class_name,
        float(found.scores[position]),
        light_of(photo),
    )
