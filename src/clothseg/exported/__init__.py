"""Runs networks that `clothseg export` wrote as ONNX, with onnxruntime and without PyTorch.

`model.py` is the class, `metadata.py` what a file says of itself, `session.py` opens it, `forms.py` turns outputs into
instances, `grouping.py` and `centers.py` group pixels.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
