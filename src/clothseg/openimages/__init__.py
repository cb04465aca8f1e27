"""Open Images: from its published tables, mask archives and photos to a COCO data set.

`tables` reads the CSV files, `archives` finds mask pictures, `matching` tells which boxes have a mask, `convert` walks
the whole way, `summary` says what came of it. Source of the formats: https://storage.googleapis.com/openimages/web/
"""

from clothseg.openimages.archives import MaskArchive, MissingMaskError
from clothseg.openimages.convert import build_dataset
from clothseg.openimages.matching import boxes_without_mask
from clothseg.openimages.summary import BuildSummary, Dropped, UnmaskedBox
from clothseg.openimages.tables import (
    BoxRow,
    ClassName,
    MaskRow,
    PhotoCredit,
    SplitFiles,
    choose_classes,
    class_file,
    parse_partitions,
    read_boxes,
    read_classes,
    read_credits,
    read_masks,
    split_files,
)

__all__ = [
    "BoxRow",
    "BuildSummary",
    "ClassName",
    "Dropped",
    "MaskArchive",
    "MaskRow",
    "MissingMaskError",
    "PhotoCredit",
    "SplitFiles",
    "UnmaskedBox",
    "boxes_without_mask",
    "build_dataset",
    "choose_classes",
    "class_file",
    "parse_partitions",
    "read_boxes",
    "read_classes",
    "read_credits",
    "read_masks",
    "split_files",
]
