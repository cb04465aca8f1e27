"""Exports networks to ONNX: `build.py` builds the graph, `write.py` writes it, `check.py` compares it with PyTorch.

`int8.py` quantizes it. `clothseg.exported` runs what is written here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
