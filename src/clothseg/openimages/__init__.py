"""Open Images: from its published tables, mask archives and photos to a COCO data set.

`classes`, `hierarchy` and `tree` know the classes, `scan` and `tables` read the CSV files, `stats` counts what is in
them. A build goes through `plan` (which photos), `run` (all of them, on all cores), `convert` (one photo: `archives`
finds its masks, `grid` its way up, `matching` its boxes), `gather` (who goes to train) and `write`; `work` keeps what
is done, and `summary` says what came of it. Source of the formats: https://storage.googleapis.com/openimages/web/
"""

from clothseg.openimages.archives import MaskArchive, MissingMaskError
from clothseg.openimages.build import build_dataset
from clothseg.openimages.classes import ClassName, choose_classes, read_classes, read_segmentable
from clothseg.openimages.hierarchy import Branch, Hierarchy, read_hierarchy
from clothseg.openimages.layout import (
    SplitFiles,
    box_list,
    class_file,
    hierarchy_file,
    mask_list,
    segmentable_file,
    split_files,
)
from clothseg.openimages.matching import match_boxes
from clothseg.openimages.scan import BrokenRow
from clothseg.openimages.stats import ClassStats, Stats, count_classes
from clothseg.openimages.summary import BuildSummary, Dropped, UnmaskedBox
from clothseg.openimages.tables import (
    BoxRow,
    ByPhoto,
    MaskRow,
    PhotoCredit,
    parse_partitions,
    read_boxes,
    read_credits,
    read_masks,
)
from clothseg.openimages.tree import NamedBranch, class_trees, tree_lines, tree_picture

__all__ = [
    "BoxRow",
    "Branch",
    "BrokenRow",
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
    "UnmaskedBox",
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
    "read_segmentable",
    "segmentable_file",
    "split_files",
    "tree_lines",
    "tree_picture",
]
