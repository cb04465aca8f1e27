"""The words of the field: instances on a photo, their boxes and their masks, in every form that they are stored in."""

from clothseg.instances.boxes import boxes_of_masks, clip_boxes, flip_boxes, from_xywh, scale_boxes, to_xywh
from clothseg.instances.contours import to_polygons
from clothseg.instances.filled import filled_pixels
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
    resize_mask,
    run_lengths,
    tight_box,
)
from clothseg.instances.pasting import PasteRule, paste, resize_fading
from clothseg.instances.png import read_mask_png, write_mask_png
from clothseg.instances.resizing import resize_instances

__all__ = [
    "BoxMasks",
    "Instances",
    "Masks",
    "PasteRule",
    "PixelMasks",
    "Rle",
    "RleMasks",
    "boxes_of_masks",
    "clip_boxes",
    "decode",
    "encode",
    "filled_pixels",
    "flip_boxes",
    "from_polygons",
    "from_segmentation",
    "from_xywh",
    "mask_area",
    "mask_iou",
    "paste",
    "read_mask_png",
    "resize_fading",
    "resize_instances",
    "resize_mask",
    "run_lengths",
    "scale_boxes",
    "tight_box",
    "to_polygons",
    "to_xywh",
    "write_mask_png",
]
