"""The words of the field: instances on a photo, their boxes and their masks, in every form that they are stored in."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
