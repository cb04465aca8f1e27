from .boxes import boxes_of_masks, clip_boxes, flip_boxes, from_xywh, scale_boxes, to_xywh
from .contours import to_polygons
from .instances import Instances
from .mask_paste import PasteRule, paste, resize_fading
from .masks import BoxMasks, Masks, PixelMasks, RleMasks
from .png import read_mask_png, write_mask_png
from .resize import resize_instances
from .rle import (
    Rle,
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
from .rle_validation import broken_mask, filled_pixels
from .selection import Selection, suppress_across_classes

__all__ = [
    "BoxMasks",
    "Instances",
    "Masks",
    "PasteRule",
    "PixelMasks",
    "Rle",
    "RleMasks",
    "Selection",
    "boxes_of_masks",
    "broken_mask",
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
    "suppress_across_classes",
    "tight_box",
    "to_polygons",
    "to_xywh",
    "write_mask_png",
]
