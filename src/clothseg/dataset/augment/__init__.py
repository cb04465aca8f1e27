"""Random changes to a photo and its instances (`augment.py`), and pictures of what they do (`preview.py`)."""

from clothseg.deferred_dynamo import import_without_dynamo

import_without_dynamo("torchvision.transforms.v2")  # before `augment.py` imports it

from clothseg.dataset.augment.augment import augment, paste_instances  # noqa: E402

__all__ = ["augment", "paste_instances"]
