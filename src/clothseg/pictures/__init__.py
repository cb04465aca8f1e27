"""Drawing: instances on photos, contact sheets, loss curves. Takes arrays, returns arrays or the bytes of files.

To change class colours, see `colours.py`. Line widths, fill and labels are in `instances.py` and `labels.py`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
