"""Loads training examples ahead of the step, in threads or in processes.

`ahead.py` has the queue and its workers, `worker.py` is one process.
"""

from clothseg.loading.ahead import ExampleQueue, WorkerPool

__all__ = ["ExampleQueue", "WorkerPool"]
