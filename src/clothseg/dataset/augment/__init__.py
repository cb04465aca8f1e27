"""Random changes to a photo and its instances (`augment.py`), and pictures of what they do (`preview.py`)."""

from clothseg.dataset.augment.augment import augment, paste_instances

__all__ = ["augment", "paste_instances"]
