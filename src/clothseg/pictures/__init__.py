"""Drawing: instances on photos, contact sheets, loss curves. Arrays in, arrays or files' bytes out.

Another mask colour is in `colours.py`; line widths, fill and labels are in `instances.py` and `labels.py`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
