from .coco_file import CocoFile, load_tree, not_coco, read_coco_file, read_rows, require_usable, standard_form
from .issues import RULES, Action, Correction, Issue, IssueLog, describe_corrections
from .layout import Layout, SplitFiles, choose_split, find_layout
from .photo_files import PhotoFiles

__all__ = [
    "RULES",
    "Action",
    "CocoFile",
    "Correction",
    "Issue",
    "IssueLog",
    "Layout",
    "PhotoFiles",
    "SplitFiles",
    "choose_split",
    "describe_corrections",
    "find_layout",
    "load_tree",
    "not_coco",
    "read_coco_file",
    "read_rows",
    "require_usable",
    "standard_form",
]
