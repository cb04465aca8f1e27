"""Instances of a photo that is resized."""

from dataclasses import replace

import numpy as np
import torch

from clothseg.instances.boxes import scale_boxes
from clothseg.instances.instances import Instances
from clothseg.instances.masks import PixelMasks
from clothseg.instances.rle import resize_mask


def resize_instances(instances: Instances, size: tuple[int, int]) -> Instances:
    """Resizes instances with their photo to `size` (height, width). Each mask pixel is the nearest old one."""
    values = np.zeros((len(instances), *size), dtype=np.bool_)
    for position, mask in enumerate(values):  # one at a time, to save memory
        pixels = instances.masks.select(torch.tensor([position])).pixels()[0].cpu().numpy()
        mask[:] = resize_mask(pixels, size)
    boxes = scale_boxes(instances.boxes, instances.size, size)
    return replace(instances, size=size, boxes=boxes, masks=PixelMasks(torch.from_numpy(values)))
