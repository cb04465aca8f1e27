"""Random changes to a photo and its instances together.

`geometry` moves pixels (flip, zoom, turn, waves), `light` changes their values, `mixing` pastes objects of another
photo. Boxes are made anew from the masks, so that the two never disagree.
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
    """One random change of a photo, as far as `settings` allow each kind.

    Args:
        image: `[3, H, W]` float in 0..1.
        instances: what is on it.
        settings: how far each change may go, and how often.
        generator: draws the change.

    Returns:
        the changed photo of the same size, and its instances: boxes tight round the masks, emptied ones left out.
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
