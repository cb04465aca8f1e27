"""Open Images: from its published tables, mask archives and photos to a COCO data set.

`classes`, `hierarchy` and `tree` know the classes, `scan` and `tables` read the CSV files, `stats` counts what is in
them. A build goes through `plan` (which photos), `run` (all of them, on all cores), `convert` (one photo: `archives`
finds its masks, `grid` its way up, `matching` its boxes), `assemble` (who goes to train) and `write`; `work` keeps what
is done, and `summary` says what came of it. Source of the formats: https://storage.googleapis.com/openimages/web/
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
