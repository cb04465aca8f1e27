"""Labels of other tools to a COCO dataset, for example of YOLO, labelme, Pascal VOC, CVAT and Supervisely.

A format is a function from a path to a `LabelSource`, with an entry in `READERS` and a branch in `formats.detect`.
"""

from clothseg.dataset.importing.cvat import read_cvat
from clothseg.dataset.importing.datumaro import read_datumaro
from clothseg.dataset.importing.formats import AUTO, READERS, detect, open_source
from clothseg.dataset.importing.labelme import read_labelme
from clothseg.dataset.importing.labelme_xml import read_labelme_xml
from clothseg.dataset.importing.labels import REASONS, Dropped, LabelledObject, LabelledPhoto, LabelSource
from clothseg.dataset.importing.mask_files import read_masks
from clothseg.dataset.importing.options import ImportOptions, SourceFormat, parse_classes
from clothseg.dataset.importing.run import import_dataset
from clothseg.dataset.importing.summary import ImportSummary, SplitCounts
from clothseg.dataset.importing.supervisely import read_supervisely
from clothseg.dataset.importing.voc import read_voc
from clothseg.dataset.importing.voc_boxes import read_voc_boxes
from clothseg.dataset.importing.yolo import read_yolo

__all__ = [
    "AUTO",
    "READERS",
    "REASONS",
    "Dropped",
    "ImportOptions",
    "ImportSummary",
    "LabelSource",
    "LabelledObject",
    "LabelledPhoto",
    "SourceFormat",
    "SplitCounts",
    "detect",
    "import_dataset",
    "open_source",
    "parse_classes",
    "read_cvat",
    "read_datumaro",
    "read_labelme",
    "read_labelme_xml",
    "read_masks",
    "read_supervisely",
    "read_voc",
    "read_voc_boxes",
    "read_yolo",
]
