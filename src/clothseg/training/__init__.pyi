from .checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from .checks import batch_per_rank, check_datasets, check_same_config
from .examples import Examples
from .history import HistoryRow, history_columns, overfitting, read_history, write_history
from .validation import stopped_early_after

__all__ = [
    "Checkpoint",
    "Examples",
    "HistoryRow",
    "batch_per_rank",
    "check_datasets",
    "check_same_config",
    "history_columns",
    "overfitting",
    "read_checkpoint",
    "read_history",
    "stopped_early_after",
    "write_checkpoint",
    "write_history",
]
