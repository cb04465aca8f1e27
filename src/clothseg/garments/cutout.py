"""One garment cut out of a photo: colours, alpha, and its place on the photo."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clothseg.garments.light import Light, light_of
from clothseg.garments.matting import own_colours, refine, soft_mask
from clothseg.instances import ArrayInstances
from clothseg.photos import RgbaImage, RgbImage

if TYPE_CHECKING:  # it needs torch
    from clothseg.instances import Instances

_VISIBLE = 2
"""Alpha (of 255) below this is invisible. It becomes 0, so trimming finds the garment."""


@dataclass(frozen=True, repr=False)
class Cutout:
    """A garment with a soft edge.

    Attributes:
        picture: `[h, w, 4]` uint8 RGBA, trimmed to the visible part.
        left: column of the photo where the picture starts.
        top: row of the photo where the picture starts.
        size: height and width of the photo.
        class_name: empty if it is not known.
        score: the network's score, in 0..1.
        light: the light of the photo; None if it is not known.
    """

    picture: RgbaImage
    left: int = 0
    top: int = 0
    size: tuple[int, int] = (0, 0)
    class_name: str = ""
    score: float = 1.0
    light: Light | None = None

    def __repr__(self) -> str:
        """For example `Cutout(Dress, score 0.93, 200 x 120 pixels (height x width) at x 40, y 60)`."""
        height, width = self.picture.shape[:2]
        name = self.class_name or "unknown class"
        place = f"at x {self.left}, y {self.top}"
        return f"Cutout({name}, score {self.score:.2f}, {height} x {width} pixels (height x width) {place})"

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The place on the photo: x1 y1 x2 y2 in pixels."""
        height, width = self.picture.shape[:2]
        return self.left, self.top, self.left + width, self.top + height

    def full_frame(self) -> RgbaImage:
        """The garment at its place on a transparent picture of the photo's size, `[H, W, 4]` uint8."""
        frame = np.zeros((*self.size, 4), dtype=np.uint8)
        height, width = self.picture.shape[:2]
        frame[self.top : self.top + height, self.left : self.left + width] = self.picture
        return frame


def cut_out(photo: RgbImage, found: "Instances | ArrayInstances", position: int, class_name: str = "") -> Cutout | None:
    """Cuts out the instance at `position`. Its edge is moved to the photo's edges.

    Args:
        photo: `[H, W, 3]` uint8 RGB.
        found: the instances on this photo.
        position: the index of the instance.
        class_name: the name of its class.

    Returns:
        The cut-out; None if nothing of it is visible.

    Raises:
        ValueError: the instances belong to a photo of another size.
    """
    if photo.shape[:2] != found.size:
        raise ValueError(
            f"the instances belong to a photo of {found.size} (height, width), but this one has {photo.shape[:2]}"
        )
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
