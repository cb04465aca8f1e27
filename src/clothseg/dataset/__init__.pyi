from .coco import CocoLikeDataset
from .loader import Batch, Sampler, load_example
from .repeats import repeat_factors

__all__ = ["Batch", "CocoLikeDataset", "Sampler", "load_example", "repeat_factors"]
