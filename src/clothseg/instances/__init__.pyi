from .array_masks import ArrayMasks, BoxArrayMasks, LabelArrayMasks, MapArrayMasks
from .arrays import ArrayInstances
from .bilinear import axis_taps, sample_maps
from .boxes import boxes_of_masks, clip_boxes, clip_to, from_xywh, scale_boxes, to_xywh
from .calibration import Calibration
from .coco_types import CocoAnnotation, CocoCategory, CocoDataset, CocoImage, CocoResult, is_box_only
from .contours import to_polygons
from .convert import coco_results
from .instances import Instances
from .label_masks import LabelMasks
from .map_masks import BoxMasks, MapMasks, encode_photos, has_gpu_maps
from .mask_paste import PasteRule, paste, resize_zero_padded
from .masks import CropMasks, Masks, PixelMasks, RleMasks, each_mask
from .one_mask import one_mask, one_pixels, to_array
from .png import read_mask_png
from .resize import resize_instances
from .rle import (
    Rle,
    decode,
    empty_rle,
    encode,
    from_box,
    from_polygons,
    from_segmentation,
    mask_area,
    mask_iou,
    mask_union,
    resize_mask,
    run_lengths,
    tight_box,
)
from .rle_validation import broken_mask, filled_pixels, first_broken, pixel_counts
from .selection import Selection, best_of_classes, class_agnostic_nms, class_number
from .some_masks import SomeMasks
from .xywh import XywhBox, box_iou

__all__ = [
    "ArrayInstances",
    "ArrayMasks",
    "BoxArrayMasks",
    "BoxMasks",
    "Calibration",
    "CocoAnnotation",
    "CocoCategory",
    "CocoDataset",
    "CocoImage",
    "CocoResult",
    "CropMasks",
    "Instances",
    "LabelArrayMasks",
    "LabelMasks",
    "MapArrayMasks",
    "MapMasks",
    "Masks",
    "PasteRule",
    "PixelMasks",
    "Rle",
    "RleMasks",
    "Selection",
    "SomeMasks",
    "XywhBox",
    "axis_taps",
    "best_of_classes",
    "box_iou",
    "boxes_of_masks",
    "broken_mask",
    "class_agnostic_nms",
    "class_number",
    "clip_boxes",
    "clip_to",
    "coco_results",
    "decode",
    "each_mask",
    "empty_rle",
    "encode",
    "encode_photos",
    "filled_pixels",
    "first_broken",
    "from_box",
    "from_polygons",
    "from_segmentation",
    "from_xywh",
    "has_gpu_maps",
    "is_box_only",
    "mask_area",
    "mask_iou",
    "mask_union",
    "one_mask",
    "one_pixels",
    "paste",
    "pixel_counts",
    "read_mask_png",
    "resize_instances",
    "resize_mask",
    "resize_zero_padded",
    "run_lengths",
    "sample_maps",
    "scale_boxes",
    "tight_box",
    "to_array",
    "to_polygons",
    "to_xywh",
]
