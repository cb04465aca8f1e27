from .coco import CocoLikeDataset
from .loader import Batch, Sampler, load_example
from .readable import readable
from .repeats import repeat_factors

__all__ = ["Batch", "CocoLikeDataset", "Sampler", "load_example", "readable", "repeat_factors"]
