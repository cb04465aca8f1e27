"""Random changes to a photo (`changes.py`) and its instances (`augment.py`), and pictures of them (`preview.py`)."""

from clothseg.deferred_dynamo import import_without_dynamo

import_without_dynamo("torchvision.transforms.v2")  # before `changes.py` imports it

from clothseg.dataset.augment.augment import augment, paste_instances  # noqa: E402

__all__ = ["augment", "paste_instances"]
