"""Predicts on photos and videos on disk and writes the results to files.

`files.py` reads the photos and runs the network on them, `writers.py` writes the results, `videos.py` handles one
video, `options.py` has the options.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
