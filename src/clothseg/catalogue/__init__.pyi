from .engines import Engine, InProcesses, in_this_process
from .failures import failures
from .merge import Merged, MergedFormat, merge_catalogue
from .names import LIST_SUFFIXES
from .network import ExportedSource, ModelSource
from .ray_engine import OnRay
from .run import CatalogueOptions, CatalogueSummary, run_catalogue
from .shards import DEFAULT_SIZE, Listed, Share, parse_share
from .sources import open_catalogue
from .tables import TableFormat
from .tasks import CutOut, NetworkSource, OpenNetwork, Predict

__all__ = [
    "DEFAULT_SIZE",
    "LIST_SUFFIXES",
    "CatalogueOptions",
    "CatalogueSummary",
    "CutOut",
    "Engine",
    "ExportedSource",
    "InProcesses",
    "Listed",
    "Merged",
    "MergedFormat",
    "ModelSource",
    "NetworkSource",
    "OnRay",
    "OpenNetwork",
    "Predict",
    "Share",
    "TableFormat",
    "failures",
    "in_this_process",
    "merge_catalogue",
    "open_catalogue",
    "parse_share",
    "run_catalogue",
]
