"""Training: the loop, its stages and steps, validation, checkpoints and history.

`fit.py` drives `trainer.py`; `step.py` is one step, from the batches to the changed weights; `schedule.py` says what
learns when and how fast, `validation.py` what happens at the end of an epoch. `memory/` forecasts memory and recovers
from out-of-memory.
"""

from clothseg.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from clothseg.training.checks import batch_per_rank, check_datasets, check_same_config, open_run
from clothseg.training.examples import Examples
from clothseg.training.fit import fit
from clothseg.training.history import HistoryRow, history_columns, read_history, write_history
from clothseg.training.validation import overfitting, stopped_early_after

__all__ = [
    "Checkpoint",
    "Examples",
    "HistoryRow",
    "batch_per_rank",
    "check_datasets",
    "check_same_config",
    "fit",
    "history_columns",
    "open_run",
    "overfitting",
    "read_checkpoint",
    "read_history",
    "stopped_early_after",
    "write_checkpoint",
    "write_history",
]
