"""A COCO data set: what is in it, and how its photos reach a network."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
