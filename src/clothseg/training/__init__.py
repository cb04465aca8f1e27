"""Training: the loop, its stages and steps, validation, checkpoints and history.

`fit.py` drives `trainer.py`; `step.py` is one step, from the batches to the changed weights; `schedule.py` says what
learns when and how fast, `validation.py` what happens at the end of an epoch. `memory/` forecasts memory and recovers
from out-of-memory.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
