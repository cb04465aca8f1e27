"""The words of the field: instances on a photo, their boxes and their masks, in every form that they are stored in."""

from clothseg.instances.boxes import clip_boxes, flip_boxes, from_xywh, scale_boxes, to_xywh
from clothseg.instances.contours import to_polygons
from clothseg.instances.instances import Instances
from clothseg.instances.masks import (
    BoxMasks,
    Masks,
    PixelMasks,
    Rle,
    RleMasks,
    decode,
    encode,
    from_polygons,
    from_segmentation,
    mask_area,
    mask_iou,
    paste,
    resize_mask,
    run_lengths,
    tight_box,
)
from clothseg.instances.png import read_mask_png, write_mask_png

__all__ = [
    "BoxMasks",
    "Instances",
    "Masks",
    "PixelMasks",
    "Rle",
    "RleMasks",
    "clip_boxes",
    "decode",
    "encode",
    "flip_boxes",
    "from_polygons",
    "from_segmentation",
    "from_xywh",
    "mask_area",
    "mask_iou",
    "paste",
    "read_mask_png",
    "resize_mask",
    "run_lengths",
    "scale_boxes",
    "tight_box",
    "to_polygons",
    "to_xywh",
    "write_mask_png",
]
