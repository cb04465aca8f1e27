"""Augmentation: random changes of a photo and its instances together.

`geometry` moves pixels (flip, affine, piecewise affine), `light` changes their values, `mixing` pastes objects of
another photo. Boxes are computed from the changed masks, so boxes and masks always agree.
"""

import torch
from torch import Tensor

from clothseg.config import AugmentSettings
from clothseg.dataset.augment.geometry import move
from clothseg.dataset.augment.light import relight
from clothseg.dataset.augment.mixing import paste_instances
from clothseg.instances import Instances, PixelMasks, boxes_of_masks

__all__ = ["augment", "paste_instances"]


def augment(
    image: Tensor, instances: Instances, settings: AugmentSettings, generator: torch.Generator
) -> tuple[Tensor, Instances]:
    """Changes a photo and its instances at random.

    Args:
        image: `[3, H, W]` float in 0..1.
        instances: the instances on the photo.
        settings: the maximum and the probability of each change.
        generator: the source of randomness.

    Returns:
        The changed photo, of the same size, and its instances. Boxes are tight. Instances without a pixel are removed.
    """
    image, masks = move(image, instances.masks.pixels(), settings, generator)
    image = relight(image, settings, generator)
    kept = masks.flatten(1).any(dim=1)
    masks = masks[kept]
    found = Instances(
        instances.size,
        boxes_of_masks(masks),
        instances.classes[kept],
        PixelMasks(masks),
        crowd=instances.crowd[kept],
    )
    return image, found
