"""Reads COCO instances files as tools write them, and finds them in the folders that tools export.

`read_coco_file` is the one reader, `RULES` its rules, `find_splits` knows the layouts.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
