"""A COCO data set: what is in it, and how its photos reach a network."""

from clothseg.dataset.augment import augment
from clothseg.dataset.coco import CocoLikeDataset
from clothseg.dataset.loader import Sampler, load_example, to_tensor

__all__ = ["CocoLikeDataset", "Sampler", "augment", "load_example", "to_tensor"]
