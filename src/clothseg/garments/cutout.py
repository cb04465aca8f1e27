"""One garment cut out of a photo: colours, alpha, and its place on the photo."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from clothseg.errors import ClothsegError
from clothseg.garments.foreground import own_colours
from clothseg.garments.light import Light, light_of
from clothseg.garments.matting import Edges, refine, soft_mask
from clothseg.garments.parts import clean_parts
from clothseg.instances import ArrayInstances
from clothseg.photos import RgbaImage, RgbImage, require_photo_of

if TYPE_CHECKING:  # it needs torch
    from clothseg.instances import Instances

_VISIBLE = 2
"""Alpha (of 255) below this is invisible. It becomes 0, so trimming finds the garment."""
_RIM = 0.02
"""The width of a soft edge, as a part of the garment's `side`: twice the radius in which alpha follows colour."""


@dataclass(frozen=True)
class CutoutSettings:
    """How garments are cut out.

    Attributes:
        edges: how the edge is moved to the photo's edges, `regions` or `grabcut`; see `refine`.
        min_part: separate parts with a smaller share of the garment's area are dropped; 0 keeps all.
        min_hole: holes with a smaller share of the garment's area are closed; 0 keeps all.

    Raises:
        ClothsegError: a value is not allowed.
    """

    edges: Edges = "regions"
    min_part: float = 0.01
    min_hole: float = 0.001

    def __post_init__(self) -> None:
        if self.edges not in get_args(Edges):
            raise ClothsegError(f"edges: {self.edges!r} is not known; choose {' or '.join(get_args(Edges))}")
        for name in ("min_part", "min_hole"):
            if not 0 <= getattr(self, name) < 1:
                raise ClothsegError(f"{name}: {getattr(self, name)} is not a share of the garment's area, from 0 to 1")


DEFAULTS = CutoutSettings()


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


def cut_out(
    photo: RgbImage,
    found: "Instances | ArrayInstances",
    position: int,
    class_name: str = "",
    settings: CutoutSettings = DEFAULTS,
) -> Cutout | None:
    """Cuts out the instance at `position`. Its edge is moved to the photo's edges; shreds and pinholes disappear.

    Args:
        photo: `[H, W, 3]` uint8 RGB.
        found: the instances on this photo.
        position: the index of the instance.
        class_name: the name of its class.
        settings: how it is cut out.

    Returns:
        The cut-out; None if nothing of it is visible.

    Raises:
        ValueError: the instances belong to a photo of another size.
    """
    require_photo_of(photo, found.size)
    soft = soft_mask(found.masks, position)
    if soft is None:
        return None
    alpha = refine(photo, soft, edges=settings.edges)
    alpha = clean_parts(alpha, settings.min_part, settings.min_hole, reach=_RIM * soft.side + 2)
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
