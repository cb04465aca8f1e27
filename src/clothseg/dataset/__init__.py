"""COCO datasets: reading, augmentation, loading, splits, checks, and files for labelling tools."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
