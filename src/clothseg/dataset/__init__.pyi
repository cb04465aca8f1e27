from .coco import CocoLikeDataset
from .examples import Example, ExampleSource, load_example
from .read_ahead import read_ahead
from .readable import readable
from .sampler import Batch, Sampler, mask_repeats, repeat_factors

__all__ = [
    "Batch",
    "CocoLikeDataset",
    "Example",
    "ExampleSource",
    "Sampler",
    "load_example",
    "mask_repeats",
    "read_ahead",
    "readable",
    "repeat_factors",
]
