from .archives import MaskArchive, MissingMaskError
from .build.build import build_dataset
from .build.matching import match_boxes
from .build.options import BoxRule, BuildOptions
from .build.summary import BoxWithoutMask, BuildSummary, Dropped
from .classes import ClassName, choose_classes, read_classes, read_segmentable
from .hierarchy import Branch, Hierarchy, read_hierarchy
from .layout import (
    SplitFiles,
    box_list,
    class_file,
    hierarchy_file,
    mask_list,
    segmentable_file,
    split_files,
)
from .partitions import parse_partitions
from .scan import BrokenRow
from .stats import ClassStats, Stats, count_classes
from .tables import (
    BoxRow,
    ByPhoto,
    MaskRow,
    PhotoCredit,
    read_boxes,
    read_credits,
    read_masks,
    read_photos_without,
)
from .tree import NamedBranch, class_trees, tree_lines, tree_picture

__all__ = [
    "BoxRow",
    "BoxRule",
    "BoxWithoutMask",
    "Branch",
    "BrokenRow",
    "BuildOptions",
    "BuildSummary",
    "ByPhoto",
    "ClassName",
    "ClassStats",
    "Dropped",
    "Hierarchy",
    "MaskArchive",
    "MaskRow",
    "MissingMaskError",
    "NamedBranch",
    "PhotoCredit",
    "SplitFiles",
    "Stats",
    "box_list",
    "build_dataset",
    "choose_classes",
    "class_file",
    "class_trees",
    "count_classes",
    "hierarchy_file",
    "mask_list",
    "match_boxes",
    "parse_partitions",
    "read_boxes",
    "read_classes",
    "read_credits",
    "read_hierarchy",
    "read_masks",
    "read_photos_without",
    "read_segmentable",
    "segmentable_file",
    "split_files",
    "tree_lines",
    "tree_picture",
]
