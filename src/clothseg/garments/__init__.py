"""Garments cut out with a soft edge, and pasted on other photos.

`matting.py` refines edges, with `regions.py` and `grabcut.py`; `parts.py` drops shreds; `foreground.py` removes the
background's colour from edges. `compose.py` pastes a cut-out on a photo, `light.py` adapts colours. `cutout_files.py`
and `compose_files.py` do the same from files to files.
"""

from clothseg.garments.compose import best_garment, box_at, compose, keep_shape
from clothseg.garments.compose_files import Placement, Replaced, check_files, compose_files, replace_files
from clothseg.garments.cutout import Cutout, CutoutSettings, cut_out
from clothseg.garments.cutout_files import (
    CutoutsWritten,
    encode_cutout,
    save_cutout,
    write_cutouts,
    write_one_cutout,
)
from clothseg.garments.cutout_reading import decode_cutout, read_cutout
from clothseg.garments.foreground import load_foreground, own_colours
from clothseg.garments.light import light_of
from clothseg.garments.matting import Edges, SoftMask, refine, soft_mask

__all__ = [
    "Cutout",
    "CutoutSettings",
    "CutoutsWritten",
    "Edges",
    "Placement",
    "Replaced",
    "SoftMask",
    "best_garment",
    "box_at",
    "check_files",
    "compose",
    "compose_files",
    "cut_out",
    "decode_cutout",
    "encode_cutout",
    "keep_shape",
    "light_of",
    "load_foreground",
    "own_colours",
    "read_cutout",
    "refine",
    "replace_files",
    "save_cutout",
    "soft_mask",
    "write_cutouts",
    "write_one_cutout",
]
