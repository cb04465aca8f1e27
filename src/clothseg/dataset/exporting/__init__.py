"""A COCO dataset to files for other tools: COCO, YOLO segmentation, label maps. What a form cannot hold is counted."""

from clothseg.dataset.exporting.options import FORMATS, LOSSES, ExportFormat, ExportOptions, ExportSummary
from clothseg.dataset.exporting.run import export_dataset

__all__ = ["FORMATS", "LOSSES", "ExportFormat", "ExportOptions", "ExportSummary", "export_dataset"]
