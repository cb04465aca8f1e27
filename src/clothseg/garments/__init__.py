"""What masks are for: garments cut out with a soft edge, and put on other photos.

How edges are refined is in `matting.py`, how a cut-out is laid on a photo in `compose.py`, colours in `light.py`.
"""

from clothseg.garments.compose import compose, keep_shape, place, worn
from clothseg.garments.cutout import Cutout, cut_out
from clothseg.garments.light import light_of
from clothseg.garments.matting import SoftMask, own_colours, refine, soft_mask
from clothseg.garments.paste import Placement, Replaced, compose_files, replace_files
from clothseg.garments.store import CutoutsWritten, class_id, read_cutout, save_cutout, write_cutouts

__all__ = [
    "Cutout",
    "CutoutsWritten",
    "Placement",
    "Replaced",
    "SoftMask",
    "class_id",
    "compose",
    "compose_files",
    "cut_out",
    "keep_shape",
    "light_of",
    "own_colours",
    "place",
    "read_cutout",
    "refine",
    "replace_files",
    "save_cutout",
    "soft_mask",
    "worn",
    "write_cutouts",
]
