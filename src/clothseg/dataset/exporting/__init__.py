"""A COCO dataset to files for other tools: COCO, YOLO segmentation, label maps. What a form cannot hold is counted."""

from clothseg.dataset.exporting.options import FORMATS, LOSSES, ExportOptions, ExportSummary
from clothseg.dataset.exporting.run import export_dataset

__all__ = ["FORMATS", "LOSSES", "ExportOptions", "ExportSummary", "export_dataset"]
