"""Predicts on photos and videos on disk and writes the results to files.

`files.py` puts the parts together: `writers.py` writes the files that cover all photos, `videos.py` handles one video,
`batches.py` runs the network, `options.py` has the options.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
