"""Weights: reads files of several programs, converts them to our tensor names, and fills networks.

`load.py` is the path from a file to a network, `loaded_model.py` adds settings and classes. `files/` has the
containers, `formats/` the origins. `catalogue.py` lists published files.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
