"""A page of photos with their objects: cards, filters, a large view. It works from a folder, without a server.

`predict`, `cutout`, `dataset show` and `dataset check` fill it. `entries.py` has what they give, `data.py` its compact
form, `page.py` puts the page together from the files in `page/`, of which `serve` uses some too (`SHARED`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
