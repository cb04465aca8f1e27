from .coco import CocoLikeDataset
from .loader import Batch, Sampler, load_example
from .read_ahead import read_ahead
from .readable import readable
from .repeats import repeat_factors

__all__ = ["Batch", "CocoLikeDataset", "Sampler", "load_example", "read_ahead", "readable", "repeat_factors"]
