"""Loads training examples ahead of the step, in threads or in processes.

`source.py` says what an example is, `pool.py` has the workers, `worker.py` one process, `queue.py` what is loaded next.
"""

from clothseg.loading.pool import WorkerPool
from clothseg.loading.queue import ExampleQueue
from clothseg.loading.source import Example, ExampleSource

__all__ = ["Example", "ExampleQueue", "ExampleSource", "WorkerPool"]
