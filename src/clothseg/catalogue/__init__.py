"""Predicts on a catalogue of any size, or cuts it out: photos from lists and remote stores, results in shards.

A catalogue is a stream of names. `sources.py` and `lists.py` open it, `shards.py` cuts it into shards of N photos.
`shard.py` does one shard: photos from `reading.py`, the work of `tasks.py`, tables from `tables.py`, and a receipt
(`receipts.py`), which is written last. `run.py` does the shards that are left, `engines.py` and `ray_engine.py` in
several processes or on a cluster. `merge.py` joins the shards to one file. `names.py`, `remote.py` and
`store.py` know paths and URLs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
