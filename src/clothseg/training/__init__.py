"""Training: the loop, and what it writes down."""

from clothseg.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from clothseg.training.checks import check_photos, check_same_config
from clothseg.training.examples import Examples
from clothseg.training.fit import fit
from clothseg.training.history import COLUMNS, read_history, write_history
from clothseg.training.team import batch_of_each, start_processes
from clothseg.training.verdicts import early_end, overfitting

__all__ = [
    "COLUMNS",
    "Checkpoint",
    "Examples",
    "batch_of_each",
    "check_photos",
    "check_same_config",
    "early_end",
    "fit",
    "overfitting",
    "read_checkpoint",
    "read_history",
    "start_processes",
    "write_checkpoint",
    "write_history",
]
