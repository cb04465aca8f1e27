from .checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from .checks import batch_per_rank, check_datasets, check_same_config, open_run
from .examples import Examples
from .history import HistoryRow, history_columns, overfitting, read_history, write_history
from .run_summary import add_run_facts, write_curves
from .validation import stopped_early_after

__all__ = [
    "Checkpoint",
    "Examples",
    "HistoryRow",
    "add_run_facts",
    "batch_per_rank",
    "check_datasets",
    "check_same_config",
    "history_columns",
    "open_run",
    "overfitting",
    "read_checkpoint",
    "read_history",
    "stopped_early_after",
    "write_checkpoint",
    "write_curves",
    "write_history",
]
