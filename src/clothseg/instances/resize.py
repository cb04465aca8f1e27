"""Instances on another grid."""

import numpy as np
import torch

from clothseg.instances.boxes import scale_boxes
from clothseg.instances.instances import Instances
from clothseg.instances.masks import PixelMasks
from clothseg.instances.rle import resize_mask


def resize_instances(instances: Instances, size: tuple[int, int]) -> Instances:
    """The same instances after their photo was resized to `size` (height, width); each mask pixel from the nearest."""
    values = np.zeros((len(instances), *size), dtype=np.bool_)
    for position, mask in enumerate(values):  # one at a time: many large masks need not stand side by side
        pixels = instances.masks.select(torch.tensor([position])).pixels()[0].cpu().numpy()
        mask[:] = resize_mask(pixels, size)
    return Instances(
        size=size,
        boxes=scale_boxes(instances.boxes, instances.size, size),
        classes=instances.classes,
        masks=PixelMasks(torch.from_numpy(values)),
        scores=instances.scores,
        crowd=instances.crowd,
    )
