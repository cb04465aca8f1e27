"""Loads training examples in the background, in threads or in processes.

`pool.py` has the workers, `worker.py` is one process.
"""

from clothseg.loading.pool import WorkerPool

__all__ = ["WorkerPool"]
