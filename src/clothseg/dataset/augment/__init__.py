"""Random changes to a photo (`changes.py`) and its instances (`augment.py`), stronger ones (`strong.py`).

`preview.py` draws pictures of them.
"""

from clothseg.deferred_dynamo import import_without_dynamo

import_without_dynamo("torchvision.transforms.v2")  # before `changes.py` imports it

from clothseg.dataset.augment.augment import augment, paste_instances  # noqa: E402
from clothseg.dataset.augment.strong import cover_part, strong  # noqa: E402

__all__ = ["augment", "cover_part", "paste_instances", "strong"]
