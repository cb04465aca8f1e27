"""Open Images: from its published tables, mask archives and photos to a COCO dataset.

Order of reading:

- `layout`: the files of a folder; `classes`, `hierarchy`, `tree`: the classes and their tree;
- `scan`: large CSV files, fast; `tables`: their rows; `archives`: the masks in zips;
- `stats`: counts from the tables alone;
- `build/`: from these files to a COCO dataset; `download/`: the files from their servers.

Source of the formats: https://storage.googleapis.com/openimages/web/
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
