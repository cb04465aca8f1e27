from .coco import CocoLikeDataset
from .loader import Sampler, load_example, to_tensor

__all__ = ["CocoLikeDataset", "Sampler", "load_example", "to_tensor"]
